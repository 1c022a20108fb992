/**
 * What both measured programs are told and tell, and how one of them is run: a fresh process each time, so that peak
 * memory is that run's alone.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** Told to a measured program in a JSON file. */
export interface Job {
  /** Path of the GGUF file. */
  model: string;
  threads: number;
  /** Length of the answer whose time counts. */
  answerTokens: number;
  /**
   * Ids that are written, whatever the model would rather write: both programs forward the same tokens and as many, and
   * none stops early. At least `answerTokens`.
   */
  written: number[];
  documentTokens: number;
  /** Head, document, question. */
  promptTokens: number;
  /** File with the prompt's token ids as JSON. What llama.cpp is given. */
  ids: string;
  batch: number;
  flash: boolean;
  /** File with the document's text: what Palimpsest is given. */
  document: string;
  question: string;
  budget: number;
  chunk: number;
  cacheFolder: string;
}

/**
 * Told by a measured program. Clocks of the reading start when the model is open; `readyMs` is the time from process
 * start until then.
 */
export interface Result {
  /** Those of the job, once it is certain that just these were read. */
  promptTokens: number;
  readyMs: number;
  /** Tokens forwarded before the first token of the answer is known: those of the prompt, and ours passages of it a second time. */
  prefillTokens: number;
  /** Until the first token of the answer is known. */
  prefillMs: number;
  /** policyMs / prefillMs; null for llama.cpp. */
  policyShare: number | null;
  /** Until the last token of the answer is known. */
  answerMs: number;
  /** Tokens after the first, one forward pass each, and their time. */
  decodeSteps: number;
  decodeMs: number;
  /** Largest resident set, the mapped model file included. */
  peakRssBytes: number;
  /** Processor time of the whole process, all threads. */
  cpuMs: number;
  details: Record<string, unknown>;
}

/** Runs one measured program to its end. @throws {Error} with what it said on stderr when it fails */
export async function measure(command: string[], job: Job, folder: string): Promise<Result> {
  const file = join(folder, "job.json");
  writeFileSync(file, JSON.stringify(job));
  const [program, ...args] = command;
  const child = spawn(program!, [...args, file], { stdio: ["ignore", "pipe", "pipe"] });
  // Ctrl-C reaches the child by itself; a plain kill must not leave it running.
  const stop = () => child.kill("SIGTERM");
  process.once("exit", stop);
  let out = "", complaints = "";
  child.stdout.on("data", (piece) => out += piece);
  child.stderr.on("data", (piece) => complaints = (complaints + piece).slice(-4000));
  const code = await new Promise<number | string>((done, failed) => {
    child.on("error", failed);
    child.on("close", (code, signal) => done(code ?? signal ?? "unknown"));
  });
  process.off("exit", stop);
  if (code !== 0) throw new Error(`${command.join(" ")} ended with ${code}: ${complaints.trim()}`);
  return JSON.parse(out);
}
