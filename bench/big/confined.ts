/**
 * A memory group of the system (cgroup): what runs in it gets no more than so many bytes, pages of files among them. Files' pages are given back when room
 * is needed, and a process that needs more memory of its own is killed: who ends there has needed no more. Linux only, as root.
 */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** The same limit in the first and the second version of the interface. */
const VERSIONS = [
  { root: "/sys/fs/cgroup/memory", limit: "memory.limit_in_bytes" },
  { root: "/sys/fs/cgroup", limit: "memory.max" },
];

export interface Confinement {
  /** The command that runs `program` inside. */
  command(program: string[]): string[];
  remove(): void;
}

/**
 * Makes a group, and forgets what the system keeps of files, which would be charged to whoever has read them before.
 * @throws {Error} where no group can be made
 */
export function confine(bytes: number): Confinement {
  const version = VERSIONS.find(({ root, limit }) => existsSync(join(root, limit))) ?? VERSIONS[1]!;
  const folder = join(version.root, `palimpsest-big-${process.pid}`);
  try {
    mkdirSync(folder);
    writeFileSync(join(folder, version.limit), String(bytes));
    execFileSync("sync");
    writeFileSync("/proc/sys/vm/drop_caches", "3");
  } catch (error) {
    if (existsSync(folder)) rmdirSync(folder);
    throw new Error(`--confine makes a memory group in ${version.root}, as root: ${(error as Error).message}`);
  }
  const members = join(folder, "cgroup.procs");
  return {
    // the shell joins the group before it becomes the program
    command: (program) => ["sh", "-c", `echo $$ > "$0" && exec "$@"`, members, ...program],
    remove: () => rmdirSync(folder),
  };
}
