/**
 * llama.cpp on demand: `npm ci` in this folder, whose packages no user of Palimpsest needs. Its `package.json` pins
 * node-llama-cpp and its prebuilt CPU library for Linux x64; the overrides there stand in for all other prebuilt
 * libraries (CUDA and Vulkan have hundreds of megabytes), so that the lockfile is complete and none of them can ever be
 * installed.
 */
import { spawnSync, type SpawnSyncOptions } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

const folder = import.meta.dirname;

/** Node, which node-llama-cpp is made for: the one that npm runs on, else the one on PATH. */
export const node = process.env["npm_node_execpath"] ?? "node";

/** Why llama.cpp cannot be measured on this machine, or null. */
export function unsupported(): string | null {
  if (process.platform === "linux" && process.arch === "x64") return null;
  return `llama.cpp is measured on Linux x64 only, this machine is ${process.platform} ${process.arch}`;
}

/** Installs the pinned packages where they are not there yet. @throws {Error} when Node or npm cannot */
export function install(): void {
  const version = spawnSync(node, ["--version"], { encoding: "utf8" }).stdout ?? "";
  if (!(Number(/^v(\d+)/.exec(version)?.[1]) >= 20)) {
    throw new Error(`llama.cpp is run by Node 20 or newer, found ${version.trim() || "none"}`);
  }
  if (installed()) return;
  console.error("bench: installing llama.cpp (npm ci in bench/llama) ...");
  const npm = process.env["npm_execpath"];
  const options: SpawnSyncOptions = { cwd: folder, stdio: ["ignore", 2, 2] };
  const ended = npm && /\.[cm]?js$/.test(npm)
    ? spawnSync(node, [npm, "ci"], options)
    : spawnSync("npm", ["ci"], options);
  if (ended.status !== 0) throw new Error(`npm ci in ${folder} failed (exit ${ended.status ?? ended.error?.message})`);
}

/**
 * npm writes `node_modules/.package-lock.json` last: both direct packages must be there at the versions that are asked
 * for.
 */
function installed(): boolean {
  const note = join(folder, "node_modules", ".package-lock.json");
  if (!existsSync(note)) return false;
  const present = JSON.parse(readFileSync(note, "utf8")).packages;
  return Object.entries(wanted()).every(([name, version]) => present[`node_modules/${name}`]?.version === version);
}

function wanted(): Record<string, string> {
  return JSON.parse(readFileSync(join(folder, "package.json"), "utf8")).dependencies;
}

/** For the report: "node-llama-cpp 3.22.1". */
export function peerName(): string {
  return `node-llama-cpp ${wanted()["node-llama-cpp"]}`;
}
