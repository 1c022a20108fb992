/** Version of the program, and the facts of its build that a bug report needs. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import manifest from "../package.json" with { type: "json" };
import { build } from "./build.ts";
import { writeJson, writeOut } from "./output.ts";

export const version: string = manifest.version;

/** What `version --json` prints. */
export interface VersionRecord {
  schema: "palimpsest.version/1";
  command: "version";
  version: string;
  /** Null where it was not built in a git checkout. */
  commit: string | null;
  runtime: { name: string; version: string };
  onnxruntime: string;
  platform: string;
  arch: string;
  /** One binary, with its runtime inside. */
  compiled: boolean;
}

export function versionRecord(): VersionRecord {
  const { bun, deno, node } = process.versions as Record<string, string | undefined>;
  return {
    schema: "palimpsest.version/1",
    command: "version",
    version,
    commit: build ? build.commit : commitOf(dirname(import.meta.dirname)),
    runtime: { name: bun ? "bun" : deno ? "deno" : "node", version: bun ?? deno ?? node ?? "" },
    // pinned exactly, so the one that is installed
    onnxruntime: manifest.dependencies["onnxruntime-node"],
    platform: process.platform,
    arch: process.arch,
    compiled: build !== null,
  };
}

/** Prints the facts, one a line. */
export function printVersion(flags: { json?: boolean | undefined }): void {
  const record = versionRecord();
  if (flags.json) return writeJson(record);
  const { commit, runtime, onnxruntime, platform, arch, compiled } = record;
  writeOut(
    `palimpsest ${version}\ncommit ${commit ?? "unknown"}\n${runtime.name} ${runtime.version}${
      compiled ? ", compiled" : ""
    }\n` + `ONNX Runtime ${onnxruntime}\n${platform} ${arch}\n`,
  );
}

/** The commit of a checkout; of a folder inside another repository none. */
export function commitOf(root: string): string | null {
  if (!existsSync(join(root, ".git"))) return null;
  const { status, stdout } = spawnSync("git", ["-C", root, "rev-parse", "HEAD"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : null;
}
