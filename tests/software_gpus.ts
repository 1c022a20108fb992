/** The runtimes and drivers with which a machine without a GPU can run WebGPU: what a test starts as a process of its own. */
import { existsSync, mkdirSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

export const root = dirname(import.meta.dirname);
const modules = join(root, "node_modules");
const first = (paths: string[]) => paths.find((path) => existsSync(path));
const program = (scope: string, file: string) =>
  first(
    existsSync(join(modules, scope))
      ? readdirSync(join(modules, scope)).map((name) => join(modules, scope, name, file))
      : [],
  );

const bun = [
  process.versions.bun ? process.execPath : program("@oven", "bin/bun"),
  "--no-env-file",
  "--config=cli/bunfig.toml",
  "--no-install",
];
const deno = [program("@deno", "deno"), "run", "--allow-all", "--quiet", "--no-lock", "--no-check"];
/** Files by which Vulkan finds a driver. */
const swiftShader = first(["/usr/lib/chromium/vk_swiftshader_icd.json"]);
const lavapipe = first(["x86_64", "aarch64"].map((machine) => `/usr/share/vulkan/icd.d/lvp_icd.${machine}.json`));

/** Where Mesa keeps compiled shaders between processes: it says so on stderr where it cannot. */
const shaders = join(tmpdir(), "palimpsest-test-shaders");
mkdirSync(shaders, { recursive: true });

export interface SoftwareGpu {
  name: string;
  /** Program and its flags. */
  command: string[];
  env: NodeJS.ProcessEnv;
  /** What the adapter calls itself. */
  adapter: RegExp;
  /** Why it cannot be had here, null where it can. */
  missing: string | null;
}

export const softwareGpus: SoftwareGpu[] = ([
  ["Bun + SwiftShader", bun, swiftShader, /swiftshader/i, "chromium libvulkan1"],
  ["Deno + SwiftShader", deno, swiftShader, /swiftshader/i, "chromium libvulkan1"],
  ["Deno + lavapipe", deno, lavapipe, /llvmpipe/i, "mesa-vulkan-drivers libvulkan1"],
] as const).map(([name, runtime, driver, adapter, packages]) => {
  const env: NodeJS.ProcessEnv = {
    ...process.env,
    VK_ICD_FILENAMES: driver,
    VK_DRIVER_FILES: driver,
    // tests use much the same shaders, and lavapipe takes as long to compile them as to run them
    MESA_SHADER_CACHE_DIR: shaders,
  };
  delete env.XDG_RUNTIME_DIR;
  const missing = !runtime[0]
    ? "the runtime is not in node_modules"
    : !driver
    ? `the driver is not there (Debian: ${packages})`
    : null;
  return { name, command: runtime as string[], env, adapter, missing };
});

/**
 * Those on which everything is tried: both runtimes and both drivers are among them, and with PALIMPSEST_EVERY_GPU=1 every pair of one that has the other.
 */
export const triedGpus = softwareGpus.filter(({ name }) =>
  process.env.PALIMPSEST_EVERY_GPU === "1" || name !== "Deno + SwiftShader"
);

/** Without a driver tests are skipped, and fail where this is set: on a machine that must have one. */
export const isRequired = process.env.PALIMPSEST_REQUIRE_GPU === "1";
