/** A child process and the largest memory that it had, by kind, as Linux tells it. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** Peaks in bytes. Pages of mapped files (`file`) are the machine's to take back: no need of the process. */
export interface Peaks {
  /** Resident set, by the kernel's own mark. */
  all: number;
  /** Memory of the process itself, and pages of files, looked at every 10 ms. */
  anonymous: number;
  file: number;
}

/** Runs a program until it ends; its standard output. @throws {Error} when it ends with another exit code than 0 */
export function watched(
  program: string[],
  environment: Record<string, string | undefined>,
): Promise<{ output: string; peaks: Peaks }> {
  const child = spawn(program[0]!, program.slice(1), { stdio: ["ignore", "pipe", "inherit"], env: environment });
  const peaks: Peaks = { all: 0, anonymous: 0, file: 0 };
  const look = () => {
    const now = statusOf(child.pid!);
    if (!now) return;
    peaks.all = Math.max(peaks.all, now.VmHWM ?? 0);
    peaks.anonymous = Math.max(peaks.anonymous, now.RssAnon ?? 0);
    peaks.file = Math.max(peaks.file, now.RssFile ?? 0);
  };
  const timer = setInterval(look, 10);
  let output = "";
  child.stdout.on("data", (piece) => output += piece);
  return new Promise((done, fail) => {
    child.on("error", fail);
    child.on("close", (code, signal) => {
      clearInterval(timer);
      if (code === 0) done({ output, peaks });
      else fail(new Error(`${program.join(" ")} ended with ${signal ?? `exit code ${code}`}`));
    });
  });
}

/** Numbers of /proc/PID/status in bytes; null when the process is gone. */
function statusOf(pid: number): Record<string, number> | null {
  try {
    const lines = readFileSync(`/proc/${pid}/status`, "utf8").matchAll(/^(\w+):\s*(\d+) kB$/gm);
    return Object.fromEntries([...lines].map(([, name, kb]) => [name!, Number(kb) * 1024]));
  } catch {
    return null;
  }
}
