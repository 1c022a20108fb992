/** Runs inputs of a kind in processes of their own: one that hangs is ended, one that dies is a finding, and the next goes on behind it. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import process from "node:process";
import { createInterface } from "node:readline";
import type { Outcome } from "./child.ts";

/** After as long without a word, an input hangs. A busy machine may need some time to start a process. */
const HANGS_AFTER_MS = 20_000;
/** What was collected of earlier inputs is not always given back: a process has no more of them. */
const INPUTS_OF_A_PROCESS = 5000;

/** @param onOutcome called for every input from `first` to `end`, in their order */
export async function runInputs(
  kind: string,
  seed: number,
  first: number,
  end: number,
  onOutcome: (outcome: Outcome) => void,
  hangsAfterMs = HANGS_AFTER_MS,
): Promise<void> {
  for (let next = first; next < end;) {
    next = await runProcess(kind, seed, next, Math.min(end, next + INPUTS_OF_A_PROCESS), onOutcome, hangsAfterMs);
  }
}

/** @returns the input after the last that has an outcome */
function runProcess(
  kind: string,
  seed: number,
  first: number,
  end: number,
  onOutcome: (outcome: Outcome) => void,
  hangsAfterMs: number,
): Promise<number> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, "child.ts"), kind, seed, first, end].map(String), {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let next = first, current: number | null = null, hung = false, stderr = "";
    let timer: ReturnType<typeof setTimeout>;
    const alive = () => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        hung = true;
        child.kill("SIGKILL");
      }, hangsAfterMs);
    };
    alive();
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr = (stderr + text).slice(-1500));
    createInterface({ input: child.stdout }).on("line", (line) => {
      alive();
      const told = JSON.parse(line) as Outcome;
      if (told.outcome === undefined) return void (current = told.input);
      current = null;
      next = told.input + 1;
      onOutcome(told);
    }).on("close", () => void closed());
    let ended: { code: number | null; signal: string | null } | null = null, linesEnded = false;
    const closed = () => {
      linesEnded = true;
      finish();
    };
    child.on("error", failed);
    child.on("close", (code, signal) => {
      ended = { code, signal };
      finish();
    });
    const finish = () => {
      if (!ended || !linesEnded) return;
      clearTimeout(timer);
      if (next === end) return done(end);
      if (current === null) return failed(new Error(`the fuzzer's own process ended (${ended.code}): ${stderr}`));
      const finding = hung
        ? `it hangs: nothing for ${hangsAfterMs} ms`
        : `the process died (${ended.signal ?? ended.code}): ${stderr.trim()}`;
      onOutcome({ input: current, outcome: "finding", finding, milliseconds: hung ? hangsAfterMs : 0 });
      done(current + 1);
    };
  });
}
