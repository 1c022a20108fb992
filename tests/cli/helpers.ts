/** What the tests of the command line share: starting it as a process, a folder that goes away again, the model for tests that need one. */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";

/** The checkout. */
export const root = dirname(dirname(import.meta.dirname));
/** The launcher. */
export const launcher = join(root, "cli", "palimpsest");
/** Both runtimes; the launcher finds them in node_modules. */
export const runtimes = ["bun", "deno"] as const;

/** What a process ended with. */
export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
  milliseconds: number;
}

/** How to start it. */
export interface StartOptions {
  env?: Record<string, string>;
  /** Text for stdin; nothing is an empty stdin. */
  stdin?: string | Uint8Array;
  cwd?: string;
  /** Program instead of the launcher. */
  program?: string;
  /** Called when the process runs: to send signals, or to close its stdout. */
  started?: (child: ReturnType<typeof spawn>) => void;
}

/** Runs the command line and waits for its end. Environment variables of the caller's own Palimpsest take no part. */
export function palimpsest(args: string[], options: StartOptions = {}): Promise<Ended> {
  const clean = Object.entries(process.env).filter(([name]) => !name.startsWith("PALIMPSEST_") && !name.endsWith("_COLOR"));
  const began = performance.now();
  return new Promise((done, failed) => {
    const child = spawn(options.program ?? launcher, args, {
      cwd: options.cwd ?? root,
      env: { ...Object.fromEntries(clean), PALIMPSEST_CACHE: join(tmpdir(), "palimpsest-no-such-cache"), ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    let stdout = "";
    let stderr = "";
    child.stdout.setEncoding("utf8").on("data", (text) => stdout += text);
    child.stderr.setEncoding("utf8").on("data", (text) => stderr += text);
    child.stdin.on("error", () => {});
    child.stdin.end(options.stdin ?? "");
    child.on("error", failed);
    child.on("close", (code) => done({ code, stdout, stderr, milliseconds: performance.now() - began }));
    options.started?.(child);
  });
}

/** Runs `use` with a new folder and removes the folder afterwards. */
export async function withFolder<T>(use: (folder: string) => T | Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "palimpsest-test-"));
  try {
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Names of the files below a folder, for "nothing is left behind". */
export function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => entry.name).sort();
}

/** A real model's file, or why the tests that need one are skipped. */
export const testModel = process.env.PALIMPSEST_TEST_MODEL ?? "";
/** `{ skip: reason }` for tests that need a model: printed, so that a run without one does not look complete. */
export const needsModel = { skip: testModel ? false as const : "PALIMPSEST_TEST_MODEL names no model: npm test sets it" };
if (needsModel.skip) console.error(`skipped: tests with a real model (${needsModel.skip})`);

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}
