/**
 * `npm run compile [-- --target linux-arm64] [file]`: makes `dist/palimpsest`, one file that answers without Node, Bun or Deno. ONNX Runtime's native
 * library is inside it; at the first start it is unpacked into the cache (`compile/binary_native.ts`). Run by Bun, for any of `compile/targets.ts`.
 */
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import manifest from "../node_modules/onnxruntime-node/package.json" with { type: "json" };
import { squeezed } from "./compile/squeezed.ts";
import { bunExecutable, names, ownTarget, targets } from "./compile/targets.ts";
import { readableBytes } from "./numbers.ts";
import { commitOf } from "./version.ts";

const root = dirname(import.meta.dirname), kept = join(root, "dist", ".compile");
const { values, positionals } = parseArgs({ options: { target: { type: "string" } }, allowPositionals: true });
const targetName = values.target ?? ownTarget(), target = targets[targetName];
if (!target) {
  console.error(`--target takes ${names()}, current value is ${JSON.stringify(targetName)}`);
  process.exit(2);
}
const ending = target.platform === "win32" ? ".exe" : "";
const output = resolve(
  positionals[0] ?? join(root, "dist", values.target ? `palimpsest-${targetName}${ending}` : `palimpsest${ending}`),
);
const nativeFolder = join(root, "node_modules", "onnxruntime-node", "bin", "napi-v6", target.platform, target.arch);

/** A module that knows the embedded files: where they lie inside the binary, what each is called outside and its hash. A file of two names is there once. */
async function embeddedModule(): Promise<string> {
  const names = (await readdir(nativeFolder)).filter((name) => /\.(node|dylib|dll)$|\.so(\.\d+)*$/.test(name)).sort();
  const lines: string[] = [], entries: string[] = [], known = new Map<string, string>();
  for (const name of names) {
    const { path, sha256, size } = squeezed(join(nativeFolder, name), kept);
    const file = known.get(sha256) ?? `file${known.size}`;
    if (!known.has(sha256)) lines.push(`import ${file} from ${JSON.stringify(path)} with { type: "file" };`);
    known.set(sha256, file);
    entries.push(`{ name: ${JSON.stringify(name)}, file: ${file}, sha256: "${sha256}", size: ${size} }`);
  }
  return `${lines.join("\n")}\nexport const version = ${JSON.stringify(manifest.version)};\nexport const embedded = [${
    entries.join(", ")
  }];\n`;
}

/** The module of `packs_shipped.ts` for a binary: its packs lie inside. */
async function packsModule(): Promise<string> {
  const folder = join(root, "packs"), names = await readdir(folder, { recursive: true }).catch(() => [] as string[]);
  const packs = names.filter((name) => name.endsWith(".safetensors")).sort();
  const lines = packs.map((name, i) =>
    `import pack${i} from ${JSON.stringify(join(folder, name))} with { type: "file" };`
  );
  const entries = packs.map((name, i) => {
    const told = JSON.stringify(name.replaceAll("\\", "/"));
    return `{ name: ${told}, bytes: () => readFile(pack${i}) }`;
  });
  return `import { readFile } from "node:fs/promises";\n${lines.join("\n")}\n` +
    `export const shippedPacks = async () => [${entries.join(", ")}];\n`;
}

/** bun-webgpu's library for the target; null where it is not installed, and the binary has no GPU. */
async function webgpuLibrary(): Promise<string | null> {
  const folder = join(root, "node_modules", `bun-webgpu-${target!.platform}-${target!.arch}`);
  const names = await readdir(folder).catch(() => [] as string[]);
  const name = names.find((file) => /\.(so|dylib|dll)$/.test(file));
  return name ? join(folder, name) : null;
}

const gpuLibrary = await webgpuLibrary();
// Made before the build: Bun looks into a folder once.
const natives = await embeddedModule();
const wasm = squeezed(
  join(root, "node_modules", "onnxruntime-web", "dist", "ort-wasm-simd-threaded.asyncify.wasm"),
  kept,
);

const embedded: Bun.BunPlugin = {
  name: "embedded ONNX Runtime",
  setup(build) {
    build.onResolve({ filter: /^palimpsest:embedded$/ }, () => ({ path: "embedded", namespace: "palimpsest" }));
    build.onLoad({ filter: /^embedded$/, namespace: "palimpsest" }, async () => ({
      contents: natives,
      loader: "js",
      resolveDir: root,
    }));
    // The package opens its addon by a path beside itself, which a binary does not have.
    build.onLoad({ filter: /onnxruntime-node[\\/]dist[\\/]binding\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const opener = /require\(`[^`]*onnxruntime_binding\.node`\)/;
      if (!opener.test(source)) throw new Error(`${path} has changed: no require of onnxruntime_binding.node`);
      const native = JSON.stringify(join(root, "cli", "compile", "binary_native.ts"));
      return { contents: source.replace(opener, `require(${native}).openBinding()`), loader: "js" };
    });
    build.onLoad({ filter: /cli[\\/]packs_shipped\.ts$/ }, async () => ({
      contents: await packsModule(),
      loader: "js",
    }));
    build.onLoad({ filter: /cli[\\/]build\.ts$/ }, () => ({
      contents: `export const build = ${JSON.stringify({ commit: commitOf(root) })};`,
      loader: "js",
    }));
    // The package finds its library by a top-level await, which bytecode cannot have.
    build.onLoad({ filter: /bun-webgpu[\\/]index\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const finder = /await import\(`bun-webgpu-[^`]*`\)/;
      if (!finder.test(source)) throw new Error(`${path} has changed: no import of its library`);
      const embedding = `import library from ${JSON.stringify(gpuLibrary)} with { type: "file" };\n`;
      return { contents: embedding + source.replace(finder, "{ default: library }"), loader: "js" };
    });
    if (gpuLibrary === null) {
      build.onLoad({ filter: /cli[\\/]runtimes[\\/]webgpu_(bun|onnx)\.ts$/ }, () => ({
        contents: `import { DeviceError } from "../../core/errors.ts";
const none = () => Promise.reject(new DeviceError("This binary has no WebGPU for ${targetName}, --device cpu works"));
export { none as load, none as loadOnnxRuntimeWebGpu };`,
        loader: "ts",
      }));
    }
    // The WebGPU build finds its WebAssembly beside itself, which a binary does not have.
    build.onLoad({ filter: /cli[\\/]runtimes[\\/]webgpu_onnx\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8"), threads = "runtime.env.wasm.numThreads = 1;";
      if (!source.includes(threads)) throw new Error(`${path} has changed: no line that sets the threads`);
      return {
        contents: `import { readFileSync } from "node:fs";\nimport { zstdDecompressSync } from "node:zlib";\n` +
          `import wasm from ${JSON.stringify(wasm.path)} with { type: "file" };\n` +
          source.replace(
            threads,
            `${threads}\nruntime.env.wasm.wasmBinary = new Uint8Array(zstdDecompressSync(readFileSync(wasm)));`,
          ),
        loader: "ts",
      };
    });
    // WebAssembly would add 14 MB for a machine that by its nature runs the native library.
    build.onLoad({ filter: /cli[\\/]runtimes[\\/]wasm\.ts$/ }, () => ({
      contents: `import { DeviceError } from "../../core/errors.ts";
import { nativeFailure } from "./native.ts";
export async function loadOnnxRuntimeWeb() {
  throw nativeFailure ?? new DeviceError("The compiled binary has no WebAssembly device, --device cpu works");
}`,
      loader: "ts",
    }));
  },
};

await mkdir(dirname(output), { recursive: true });
const result = await Bun.build({
  entrypoints: [join(root, "cli", "main.ts")],
  target: "bun",
  minify: true,
  bytecode: true,
  // PDF.js asks where its file is, which bytecode cannot say: only its Worker and its fonts would be looked for there
  define: { "import.meta.url": '"file:///"', "import.meta.resolve": "undefined" },
  plugins: [embedded],
  // The folder one stands in must not configure the program.
  compile: {
    target: target.bun,
    executablePath: bunExecutable(target, root, kept),
    outfile: output,
    autoloadDotenv: false,
    autoloadBunfig: false,
  },
});
if (!result.success) {
  console.error(result.logs.map(String).join("\n"));
  process.exit(1);
}
console.log(`${output}: ${readableBytes((await stat(output)).size)}`);
