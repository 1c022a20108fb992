/** How quick this machine was the last time, per model and device: what `plan` bases its time on. Losing the file loses nothing else. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AnswerRecord } from "../core/record.ts";
import { files } from "./host.ts";

/** Tokens per second of one model on one device. */
export interface Speed {
  prefill: number;
  decode: number;
}

const fileOf = (cache: string) => join(cache, "speeds.json");

/** The last measured speed, or null. */
export async function readSpeed(cache: string, sha256: string, device: string): Promise<Speed | null> {
  return (await readAll(cache))[`${sha256.slice(0, 16)} ${device}`] ?? null;
}

/** Before any run: a core does about 60 billion multiplications a second on packed weights, and one token reads all of them once. */
export function roughSpeed(parameters: number, threads: number): Speed {
  return { prefill: 60e9 * threads / parameters, decode: 10e9 / parameters };
}

/** Remembers a run long enough to say something; failing to is no failure of the run. */
export async function rememberSpeed(cache: string, record: AnswerRecord): Promise<void> {
  const { prefillTokens, prefillMs, decodeTokens, decodeMs } = record.timing;
  if (prefillTokens < 512 || decodeTokens < 2 || prefillMs <= 0 || decodeMs <= 0) return;
  const speeds = await readAll(cache);
  speeds[`${record.model.sha256.slice(0, 16)} ${record.device.kind}`] = {
    prefill: Math.round(1000 * prefillTokens / prefillMs),
    decode: Math.round(1000 * (decodeTokens - 1) / decodeMs),
  };
  const bytes = new TextEncoder().encode(JSON.stringify(speeds) + "\n");
  await files.writeAtomically(fileOf(cache), (write) => write(bytes)).catch(() => {});
}

async function readAll(cache: string): Promise<Record<string, Speed>> {
  try {
    return JSON.parse(await readFile(fileOf(cache), "utf8"));
  } catch {
    return {};
  }
}
