/** The platforms that binaries are made for, and the Bun that each begins with. */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import lockfile from "../../package-lock.json" with { type: "json" };

/** A platform as Node names it, and as Bun does. */
export interface Target {
  platform: "linux" | "darwin" | "win32";
  arch: "x64" | "arm64";
  bun: Bun.Build.CompileTarget;
  /** npm package with Bun for it. */
  package: string;
}

const of = (platform: Target["platform"], arch: Target["arch"], bun: string): Target => ({
  platform,
  arch,
  bun: `bun-${bun.replace("aarch64", "arm64")}` as Bun.Build.CompileTarget,
  package: `@oven/bun-${bun}`,
});

/** By the name that `--target` takes. */
export const targets: Record<string, Target> = {
  "linux-x64": of("linux", "x64", "linux-x64"),
  "linux-arm64": of("linux", "arm64", "linux-aarch64"),
  "darwin-arm64": of("darwin", "arm64", "darwin-aarch64"),
  "windows-x64": of("win32", "x64", "windows-x64"),
};

/** The name of the platform that we are on. @throws {Error} where binaries for it cannot be made */
export function ownTarget(): string {
  const found = Object.entries(targets).find(([, { platform, arch }]) =>
    platform === process.platform && arch === process.arch
  );
  if (found) return found[0];
  throw new Error(`There is no binary for ${process.platform} ${process.arch}: --target takes ${names()}`);
}

/** Names of all targets, for messages. */
export const names = () => Object.keys(targets).join(", ");

/**
 * Bun's executable for a target: this machine's own from node_modules, another one from its npm package, checked against the lockfile's hash.
 * @param folder keeps what was fetched
 */
export function bunExecutable({ package: name, platform }: Target, root: string, folder: string): string {
  const file = platform === "win32" ? "bun.exe" : "bun", installed = join(root, "node_modules", name, "bin", file);
  if (existsSync(installed)) return installed;
  const packages = lockfile.packages as Record<string, { version: string; integrity?: string }>;
  const { version, integrity } = packages[`node_modules/${name}`]!;
  const kept = join(folder, `${name.replace("@oven/", "")}-${version}`, file);
  if (existsSync(kept)) return kept;

  mkdirSync(dirname(kept), { recursive: true });
  // npm is where the other packages come from, with the same registry, proxy and token
  const packed = run("npm", ["pack", `${name}@${version}`, "--silent", "--pack-destination", folder], root);
  const archive = join(folder, packed.trim().split("\n").at(-1)!);
  const hash = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
  if (hash !== integrity) {
    rmSync(archive);
    throw new Error(`${name}@${version} is not what package-lock.json names: ${hash} instead of ${integrity}`);
  }
  run("tar", ["-xzf", archive, "-C", dirname(kept), "--strip-components=2", `package/bin/${file}`], root);
  rmSync(archive);
  chmodSync(kept, 0o755);
  return kept;
}

function run(program: string, args: string[], cwd: string): string {
  const ended = spawnSync(program, args, { cwd, encoding: "utf8", shell: process.platform === "win32" });
  if (ended.status === 0) return ended.stdout;
  throw new Error(`${program} ${args.join(" ")}: ${ended.error?.message ?? ended.stderr.trim()}`);
}
