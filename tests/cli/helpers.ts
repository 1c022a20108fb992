/** What the tests of the command line share: starting it as a process, a folder that goes away again, the model for tests that need one. */
import { spawn, spawnSync } from "node:child_process";
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
  const clean = Object.entries(process.env).filter(([name]) =>
    !name.startsWith("PALIMPSEST_") && !name.endsWith("_COLOR")
  );
  const began = performance.now();
  return new Promise((done, failed) => {
    const child = spawn(options.program ?? launcher, args, {
      cwd: options.cwd ?? root,
      env: {
        ...Object.fromEntries(clean),
        PALIMPSEST_CACHE: join(tmpdir(), "palimpsest-no-such-cache"),
        PALIMPSEST_DATA: join(tmpdir(), "palimpsest-no-such-data"),
        PALIMPSEST_CONFIG: "/dev/null",
        ...options.env,
      },
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
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) =>
    entry.name
  ).sort();
}

/** A real model's file, or why the tests that need one are skipped. */
export const testModel = process.env.PALIMPSEST_TEST_MODEL ?? "";
/** `{ skip: reason }` for tests that need a model: printed, so that a run without one does not look complete. */
export const needsModel = {
  skip: testModel ? false as const : "PALIMPSEST_TEST_MODEL names no model: npm test sets it",
};
if (needsModel.skip) console.error(`skipped: tests with a real model (${needsModel.skip})`);

const terminalScript = `
import fcntl, os, pty, struct, sys, termios
process, terminal = pty.fork()
if process == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
shown = b""
while True:
    try: piece = os.read(terminal, 65536)
    except OSError: break
    if not piece: break
    shown += piece
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]))
`;

/** Runs a program with all three streams on a terminal of 100 columns (through Python's pty); `stdout` is all that the terminal was sent. */
export function inTerminal(program: string, args: string[], options: StartOptions = {}): Promise<Ended> {
  return palimpsest(["-c", terminalScript, program, ...args], { ...options, program: "python3" });
}

const { status } = spawnSync("python3", ["-c", "import pty, os; os.waitstatus_to_exitcode"], { stdio: "ignore" });
/** `{ skip: reason }` for tests that need a terminal. */
export const needsTerminal = { skip: status === 0 ? false as const : "Python 3.9 or newer with pty is not here" };
if (needsTerminal.skip) console.error(`skipped: tests in a terminal (${needsTerminal.skip})`);

/** Program and first arguments that run a TypeScript file of the checkout. */
export function runtimeCommand(runtime: "bun" | "deno"): string[] {
  const modules = join(root, "node_modules");
  const find = (scope: string, file: string) =>
    readdirSync(join(modules, scope)).map((folder) => join(modules, scope, folder, file)).find((path) =>
      existsSync(path)
    )!;
  return runtime === "bun"
    ? [find("@oven", join("bin", "bun"))]
    : [find("@deno", "deno"), "run", "-A", "--quiet", "--no-lock", "--config", join(root, "deno.json")];
}

/** Waits. */
export function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}
