/** `--kv-budget`: slots per KV head, or the bytes of everything allocated for the cache. */
import { UsageError } from "../core/errors.ts";

/** What `--kv-budget` says. */
export type BudgetFlag = { slots: number } | { bytes: number };

const scales: Record<string, number> = {
  b: 1,
  k: 1024,
  kib: 1024,
  kb: 1000,
  m: 1024 ** 2,
  mib: 1024 ** 2,
  mb: 1000 ** 2,
  g: 1024 ** 3,
  gib: 1024 ** 3,
  gb: 1000 ** 3,
};

/**
 * "1024" → slots; "64MiB", "64MB", "512K" → bytes. Zero is a number like any other here: whether a budget is large enough is the planner's word.
 * @throws {UsageError} for anything else.
 */
export function parseBudget(text: string): BudgetFlag {
  const found = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*([a-z]*)\s*$/i.exec(text);
  const scale = found ? scales[found[2]!.toLowerCase()] : undefined;
  const number = Number(found?.[1]);
  if (found && found[2] === "" && Number.isSafeInteger(number)) return { slots: number };
  if (found && scale !== undefined && number * scale <= Number.MAX_SAFE_INTEGER) {
    return { bytes: Math.floor(number * scale) };
  }
  throw new UsageError(
    `--kv-budget takes slots (1024) or bytes (64MiB, 64MB, 512K), current value is ${JSON.stringify(text)}`,
  );
}
