/**
 * `npm run compile`: makes `dist/palimpsest`, one file that answers without Node, Bun or Deno. ONNX Runtime's native library is inside it; at the first
 * start it is unpacked into the cache (`binary_native.ts`). Run by Bun, on the system that the binary is for.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import manifest from "../node_modules/onnxruntime-node/package.json" with { type: "json" };
import { readableBytes } from "./numbers.ts";
import { commitOf } from "./version.ts";

const root = dirname(import.meta.dirname);
const output = resolve(
  process.argv[2] ?? join(root, "dist", process.platform === "win32" ? "palimpsest.exe" : "palimpsest"),
);
const natives = join(root, "node_modules", "onnxruntime-node", "bin", "napi-v6", process.platform, process.arch);

/** A module that knows the embedded files: their names inside the binary, their names and hashes outside. */
async function embeddedModule(): Promise<string> {
  const names = (await readdir(natives)).filter((name) => /\.(node|dylib|dll)$|\.so(\.\d+)*$/.test(name)).sort();
  const lines: string[] = [];
  const entries: string[] = [];
  for (const [index, name] of names.entries()) {
    const bytes = await readFile(join(natives, name));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    lines.push(`import file${index} from ${JSON.stringify(join(natives, name))} with { type: "file" };`);
    entries.push(`{ name: ${JSON.stringify(name)}, file: file${index}, sha256: "${sha256}", size: ${bytes.length} }`);
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

/** bun-webgpu's library for this system; null where it has none, and the binary no GPU. */
async function webgpuLibrary(): Promise<string | null> {
  const folder = join(root, "node_modules", `bun-webgpu-${process.platform}-${process.arch}`);
  const names = await readdir(folder).catch(() => [] as string[]);
  const name = names.find((file) => /\.(so|dylib|dll)$/.test(file));
  return name ? join(folder, name) : null;
}

const embedded: Bun.BunPlugin = {
  name: "embedded ONNX Runtime",
  setup(build) {
    build.onResolve({ filter: /^palimpsest:embedded$/ }, () => ({ path: "embedded", namespace: "palimpsest" }));
    build.onLoad({ filter: /^embedded$/, namespace: "palimpsest" }, async () => ({
      contents: await embeddedModule(),
      loader: "js",
      resolveDir: root,
    }));
    // The package opens its addon by a path beside itself, which a binary does not have.
    build.onLoad({ filter: /onnxruntime-node[\\/]dist[\\/]binding\.js$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const opener = /require\(`[^`]*onnxruntime_binding\.node`\)/;
      if (!opener.test(source)) throw new Error(`${path} has changed: no require of onnxruntime_binding.node`);
      const native = JSON.stringify(join(root, "cli", "binary_native.ts"));
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
      const library = await webgpuLibrary();
      const embedding = library ? `import library from ${JSON.stringify(library)} with { type: "file" };\n` : "";
      return {
        contents: embedding + source.replace(finder, `{ default: ${library ? "library" : '""'} }`),
        loader: "js",
      };
    });
    // The WebGPU build finds its WebAssembly beside itself, which a binary does not have.
    build.onLoad({ filter: /cli[\\/]runtimes[\\/]webgpu_onnx\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, "utf8"), threads = "runtime.env.wasm.numThreads = 1;";
      if (!source.includes(threads)) throw new Error(`${path} has changed: no line that sets the threads`);
      const wasm = join(root, "node_modules", "onnxruntime-web", "dist", "ort-wasm-simd-threaded.asyncify.wasm");
      return {
        contents:
          `import { readFileSync } from "node:fs";\nimport wasm from ${JSON.stringify(wasm)} with { type: "file" };\n` +
          source.replace(threads, `${threads}\nruntime.env.wasm.wasmBinary = readFileSync(wasm);`),
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
  plugins: [embedded],
  // The folder one stands in must not configure the program.
  compile: { outfile: output, autoloadDotenv: false, autoloadBunfig: false },
});
if (!result.success) {
  console.error(result.logs.map(String).join("\n"));
  process.exit(1);
}
console.log(`${output}: ${readableBytes((await stat(output)).size)}`);
