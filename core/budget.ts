/** Slots and bytes: every rounding rule of the fixed memory. */
import { bytesPerSlot, numbersOf } from "./cache.ts";
import { latentBytes } from "./compensate/latent_state.ts";
import type { Device } from "./engine/engine.ts";
import { cacheShape } from "./engine/layers.ts";
import type { ModelConfig } from "./engine/weights.ts";
import { BudgetError, UsageError } from "./errors.ts";
import { slidingBytes } from "./sliding_rows.ts";
import type { Packs } from "./pack/packs.ts";
import { BYTES_PER_ROW, type StoredType } from "./stored_rows.ts";
import { attributesFor, latentRankFor, leastBudget, type Policy, stateBytes } from "./policy.ts";

/** What `--kv-budget` asked for: slots per KV head that survive a compaction, or bytes that bound the whole cache. */
export type BudgetRequest = { slots: number } | { bytes: number } | null;

export const DEFAULT_BUDGET = 1024;

/** Tokens per forward pass on a CPU, where none are asked for. */
const CHUNK = 512;
/** Fewest and most on a GPU. */
const GPU_CHUNK = { least: 1024, most: 4096 };

/**
 * Tokens per forward pass where none are asked for. After every chunk a policy looks at all slots and moves those that stay, so its share of reading falls
 * with the chunk: on a GPU, whose passes are quick, a quarter of the budget is read at once (`npm run gpu-cost`). An eighth of the trained positions at
 * most, as a chunk takes positions from the slots.
 */
export function defaultChunk(
  device: Device["kind"],
  request: BudgetRequest,
  { trainedPositions }: Pick<ModelConfig, "trainedPositions">,
): number {
  if (device !== "webgpu") return CHUNK;
  const quarter = request && "slots" in request ? Math.floor(request.slots / 1024) * 256 : 0;
  const wanted = Math.min(GPU_CHUNK.most, Math.max(GPU_CHUNK.least, quarter));
  return Math.max(CHUNK, Math.min(wanted, Math.floor(trainedPositions / 8)));
}

export interface Budget {
  /** Slots per KV head after a compaction. */
  slots: number;
  /** Slots per KV head that are allocated: budget + chunk + reserve. */
  capacity: number;
  bytes: number;
  /** What was asked for, where the model cannot use as much. */
  clampedFrom: number | null;
}

/** What the slots of a reading are made of, beside those that survive a compaction. */
export interface Rooms {
  chunkTokens: number;
  /** Slots for the question and the answer. */
  reserve: number;
  /** Written slots of the reserve that stay, where the decode policy evicts; else Infinity. */
  decodeBudget: number;
}

export interface Sizes extends Rooms {
  /** Slots per KV head after a compaction. */
  slots: number;
}

/** What a reading's memory takes on a device. */
export interface Allocation {
  /** Slots per KV head. */
  capacity: number;
  bytes: number;
}

/**
 * What a pass holds beside the cache, in f32, of rows that a CPU cannot compute with as they are stored: keys and values of one layer at a time, whose
 * heads have so many slots each. It belongs to the pass, like the copies that attention makes of a head's rows in any type, and to no budget.
 */
export function widenedBytes(
  { kvHeads, headDim }: Pick<ModelConfig, "kvHeads" | "headDim">,
  slots: number,
  type: StoredType,
): number {
  return type === "f32" ? 0 : kvHeads * slots * 2 * BYTES_PER_ROW.f32(headDim);
}

/** What a reading with so many slots per KV head after a compaction takes: as many bytes more for every slot more. */
export type Allocate = (slots: number) => Allocation;

/** Keys, values and what a policy remembers of slots and beside them, for budget, chunk and reserve: all heads share one pool. */
export function cpuAllocation(
  config: ModelConfig,
  policy: Policy,
  { slots, chunkTokens, reserve }: Omit<Sizes, "decodeBudget">,
  packs: Packs = {},
  kvType: StoredType = "f32",
): Allocation {
  const capacity = slots + chunkTokens + reserve, { layers, kvHeads, headDim, sliding } = cacheShape(config);
  const perHead = capacity * bytesPerSlot(config, numbersOf(attributesFor(policy, packs)), kvType) +
    latentBytes(latentRankFor(policy, packs), config.headDim);
  const bytes = layers * kvHeads * perHead + slidingBytes(sliding, kvHeads, headDim) + stateBytes(policy, config);
  return { capacity, bytes };
}

export interface BudgetInput {
  config: ModelConfig;
  policy: Policy;
  request: BudgetRequest;
  chunkTokens: number;
  /** Slots for the question and the answer. */
  reserve: number;
  /** Written slots of the reserve that stay, where the decode policy evicts. */
  decodeBudget?: number;
  /** Positions stay as they are: the trained ones then bound nothing. */
  unboundedPositions: boolean;
  /** Most bytes that the cache may take on this machine. */
  availableBytes: number;
  /** Upper bound of the document's tokens, where known. */
  documentTokens?: number;
  /** Packs of the policy, which say how much it remembers. */
  packs?: Packs;
  /** What a CPU's cache stores keys and values in. Default: f32. */
  kvType?: StoredType;
  /** What the memory takes on the device. Default: the CPU's. */
  allocation?: Allocate;
}

/** @throws {BudgetError} when the budget is too small to work with or does not fit in memory */
export function resolveBudget(input: BudgetInput): Budget {
  const { config, policy, request, chunkTokens, reserve } = input;
  if (!Number.isInteger(chunkTokens) || chunkTokens < 1) {
    throw new UsageError(`--chunk is ${chunkTokens}: use a whole number of tokens from 1 on, such as 512`);
  }
  const memory = input.allocation ??
    ((slots) => cpuAllocation(config, policy, { slots, chunkTokens, reserve }, input.packs, input.kvType));
  const slotsIn = (bytes: number) => {
    const none = memory(0).bytes;
    return Math.floor((bytes - none) / (memory(1).bytes - none));
  };
  const least = leastBudget(policy);
  const overhead = chunkTokens + reserve;
  let slots: number;
  if (request && "bytes" in request) {
    slots = slotsIn(request.bytes);
    if (slots < least) {
      throw new BudgetError(
        `--kv-budget of ${request.bytes} bytes leaves ${
          Math.max(0, slots)
        } slots after a chunk of ${chunkTokens} and a reserve of ${reserve} ` +
          `for question and answer: at least ${memory(least).bytes} bytes work, or a smaller --chunk`,
      );
    }
  } else if (request) {
    slots = request.slots;
  } else if (policy.evicts) {
    slots = DEFAULT_BUDGET;
  } else {
    slots = Math.max(least, Math.min(config.trainedPositions - overhead, input.documentTokens ?? Infinity));
  }
  if (!Number.isFinite(slots) || slots < least) {
    throw new BudgetError(
      `--kv-budget is ${slots} slots: attention sinks, the recent window and what policy ${policy.name} sets aside need ${least}; 512 or more give good answers`,
    );
  }
  if (input.decodeBudget !== undefined && input.decodeBudget < Infinity && !input.unboundedPositions) {
    const most = input.decodeBudget + config.trainedPositions - overhead - least;
    if (input.decodeBudget > most) {
      throw new BudgetError(
        `--decode-budget is ${input.decodeBudget} tokens: the ${config.trainedPositions} positions of the model also hold ${least} slots of the document, ` +
          `a chunk of ${chunkTokens} and the question, which leaves ${
            Math.max(0, most)
          }; a smaller --chunk leaves more`,
      );
    }
  }
  let clampedFrom: number | null = null;
  const usable = Math.max(least, config.trainedPositions - overhead);
  if (!input.unboundedPositions && slots > usable) {
    clampedFrom = slots;
    slots = usable;
  }
  const { capacity, bytes } = memory(slots);
  if (bytes > input.availableBytes) {
    const fitting = slotsIn(input.availableBytes);
    throw new BudgetError(
      `A cache of ${slots} slots takes ${gib(bytes)} and this machine has ${gib(input.availableBytes)} to give: ` +
        `use at most ${Math.max(0, fitting)} slots` +
        (fitting < least
          ? `, or a smaller --max-tokens or --decode-budget: question and answer alone take ${reserve}`
          : ""),
    );
  }
  return { slots, capacity, bytes, clampedFrom };
}

function gib(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GiB`;
}
