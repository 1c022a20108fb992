/** How large a GPU's cache must be: every head has the same room, so where heads may keep different numbers of slots, the longest one counts. */
import type { ModelConfig } from "../../core/engine/weights.ts";
import { ROLE_ROWS } from "../../core/probe/role.ts";
import { needs, type Policy } from "../../core/policy.ts";
import type { ReaderOptions } from "../../core/reader.ts";

/** Most slots of one head, in budgets, where heads compete. */
const LONGEST = 4;

/** Whether heads may keep different numbers of slots: their cache is then a wide one. */
export function isRagged({ allocate }: Policy): boolean {
  return allocate.name !== "uniform";
}

/** Whether a probe forwards the chunk a second time, with the rest of the cache out of sight. */
const repeats = ({ evicts, probe }: Policy) => evicts && probe.name === "kvzip";

/**
 * Whether the cache's slots need a bias, their own or one that hides them; the engine's feature `logBias` must then be on.
 * @param takesNotes `Reading.aside` will be called
 */
export function isWide(policy: Policy, takesNotes = false): boolean {
  return takesNotes || repeats(policy) || policy.evicts && (isRagged(policy) || needs(policy, "logBias"));
}

/** Rows around a repeated chunk: the request and the start of the answer. Where they are more, the chunk is repeated in pieces. */
const REQUEST_ROWS = 64;

interface Sizes {
  slots: number;
  chunkTokens: number;
  reserve: number;
}

/** Slots per head after a compaction, at most. */
export function mostSlotsOf(
  policy: Policy,
  { trainedPositions }: ModelConfig,
  { budget: { slots }, chunkTokens, reserve, positions }: ReaderOptions,
): number {
  const trained = positions === "original" ? Infinity : Math.max(slots, trainedPositions - chunkTokens - reserve);
  return Math.min(trained, isRagged(policy) ? LONGEST * slots : slots);
}

/** Slots of every head. Rows of a pass that is not appended stand in the cache too: the reserve has room for a question, not for every probe. */
export function gpuCapacity(policy: Policy, _config: ModelConfig, { slots, chunkTokens, reserve }: Sizes): number {
  const longest = policy.evicts && isRagged(policy) ? LONGEST : 1;
  const asksAsAnswer = policy.evicts && policy.probe.name.split("+").includes("role");
  const probeRows = repeats(policy) ? chunkTokens + REQUEST_ROWS : asksAsAnswer ? Math.max(0, ROLE_ROWS - reserve) : 0;
  return longest * slots + chunkTokens + reserve + probeRows;
}
