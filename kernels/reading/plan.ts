/** How large a GPU's cache must be: every head has the same room, so where heads may keep different numbers of slots, the longest one counts. */
import type { GraphFeatures } from "../../core/engine/features.ts";
import type { ModelConfig } from "../../core/engine/weights.ts";
import type { Sizes } from "../../core/budget.ts";
import { DeviceError } from "../../core/errors.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import { featuresFor, needs, type Policy } from "../../core/policy.ts";
import type { ReaderOptions } from "../../core/reader.ts";
import type { WantedFeature } from "../device/adapter.ts";

/** Rows of a probe at most, which stand behind the live slots for the while. */
export const PROBE_ROWS = 64;
/** Most slots of one head, in budgets, where heads compete. */
const LONGEST = 4;

/** Whether heads may keep different numbers of slots: their cache is then a wide one. */
export function isRagged({ allocate }: Policy): boolean {
  return allocate.name !== "uniform";
}

/** Whether a probe forwards the chunk a second time, with the rest of the cache out of sight. */
export const repeats = ({ evicts, probe }: Policy) => evicts && probe.name === "kvzip";

/**
 * Whether the cache's slots need a bias, their own or one that hides them; the engine's feature `logBias` must then be on.
 * @param takesNotes `Reading.aside` will be called
 */
export function isWide(policy: Policy, takesNotes = false): boolean {
  return takesNotes || repeats(policy) || policy.evicts && (isRagged(policy) || needs(policy, "logBias"));
}

/** What the graph must give for a policy on a GPU: log-biases also hide slots where heads keep different numbers of them. */
export function gpuFeatures(policy: Policy, takesNotes = false): GraphFeatures {
  const features = featuresFor(policy);
  return { ...features, logBias: features.logBias || isWide(policy, takesNotes) };
}

/** What keys and values shall be stored in; `auto`: half precision where it is to be had. */
export type KvTypeWish = "auto" | StoredType;

/**
 * What to try, the best first. Rows must be whole words for rotations in half precision. Where products of queries and keys are known to be large, f16 is
 * for those who ask for it: kernels of ONNX Runtime for GPUs with subgroups add them up in it.
 * @param has features of a GPU that passed its self-test
 * @throws {DeviceError} where half precision is wished for and cannot be
 */
export function kvTypes(
  has: ReadonlySet<WantedFeature>,
  { headDim, largeProducts }: Pick<ModelConfig, "headDim" | "largeProducts">,
  wish: KvTypeWish = "auto",
): StoredType[] {
  const half = has.has("shader-f16") && headDim % 4 === 0;
  if (wish === "f16" && !half) {
    const lacks = has.has("shader-f16")
      ? `the model's heads have ${headDim} numbers, which is no multiple of 4`
      : "the GPU has no half precision that is right (shader-f16)";
    throw new DeviceError(`Cannot store keys and values in f16: ${lacks}; --kv-type f32 works`);
  }
  if (wish === "int8" && headDim % 4 > 0) {
    throw new DeviceError(
      `Cannot store keys and values in int8 on a GPU: the model's heads have ${headDim} numbers, which is no multiple of 4; --kv-type f32 works`,
    );
  }
  if (wish !== "auto") return [wish];
  return half && !largeProducts ? ["f16", "f32"] : ["f32"];
}

/** Rows around a repeated chunk: the request and the start of the answer. Where they are more, the chunk is repeated in pieces. */
export const REQUEST_ROWS = 64;

/** Rows of a pass, at most: a chunk, one that is repeated, or a probe's. */
export const mostRows = (chunkTokens: number): number => Math.max(PROBE_ROWS, chunkTokens + REQUEST_ROWS);

/** Slots per head after a compaction, at most. */
export function mostSlotsOf(
  policy: Policy,
  { trainedPositions }: ModelConfig,
  { budget: { slots }, chunkTokens, reserve, positions }: ReaderOptions,
): number {
  const trained = positions === "original" ? Infinity : Math.max(slots, trainedPositions - chunkTokens - reserve);
  return Math.min(trained, isRagged(policy) ? LONGEST * slots : slots);
}

/** Slots of every head. Rows of a pass that is not appended stand in the cache too: a probe's, or a repeated chunk's. */
export function gpuCapacity(policy: Policy, { slots, chunkTokens, reserve }: Omit<Sizes, "decodeBudget">): number {
  const kept = (policy.evicts && isRagged(policy) ? LONGEST : 1) * slots;
  const behind = repeats(policy) ? chunkTokens + REQUEST_ROWS : 0;
  return kept + chunkTokens + Math.max(reserve, policy.evicts ? PROBE_ROWS : 0) + behind;
}
