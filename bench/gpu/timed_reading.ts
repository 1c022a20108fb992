/** Reads a text on a GPU under one policy, and measures it. */
import { defaultChunk, resolveBudget } from "../../core/budget.ts";
import { UsageError } from "../../core/errors.ts";
import type { LoadedModel } from "../../core/model.ts";
import { parsePolicy } from "../../core/policies.ts";
import type { Policy } from "../../core/policy.ts";
import type { ReaderOptions } from "../../core/reader.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import { PassTimes } from "../../kernels/device/pass_times.ts";
import type { Gpu } from "../../kernels/gpu.ts";
import { mobyDick } from "../prose.ts";
import { recordPolicy } from "./recorded.ts";
import { trafficOf } from "./traffic.ts";

/** Tokens that are written after reading. */
const WRITTEN = 64;
const QUESTION = "What does the captain want of the whale, and what becomes of the ship and of the men who sail in it?";
const ANSWER = "The answer is:";
/** Compactions that are measured at least; the first differs, as memory slots are made there. */
const MEASURED = 2;

export interface Measured {
  /** Tokens read, in whole chunks; slots and chunk as they were used. */
  tokens: number;
  slots: number;
  chunkTokens: number;
  written: number;
  /** What keys and values were stored in. */
  kvType: StoredType;
  readPerSecond: number;
  /** Of chunks that are compacted, on the mean. */
  chunkMs: number;
  /** Of those, what our kernels take. */
  kernelMs: number;
  /** By the GPU's clock; else by ours, and all that belongs to the policy is in it. */
  isTimed: boolean;
  /** Nanoseconds of a tick of the GPU's clock. */
  tick: number;
  /** What our kernels must move per chunk. */
  bytes: number;
  writtenPerSecond: number;
}

export interface Wanted {
  tokens: number;
  slots: number;
  /** null: as `ask` has it. */
  chunkTokens: number | null;
  /** Never by the GPU's clock. */
  wall: boolean;
}

/** @throws {UsageError} where the text would be compacted too seldom */
export async function measure(model: LoadedModel, gpu: Gpu, spec: string, wanted: Wanted): Promise<Measured> {
  const policy = parsePolicy(spec);
  if (!policy.evicts) throw new UsageError(`Policy ${spec} evicts nothing: there is no compaction to measure`);
  const options = await optionsFor(model, policy, wanted), { chunkTokens, questionTokens } = options;
  const chunks = chunksOf(model, wanted.tokens, chunkTokens);
  const due = Math.max(0, chunks.length - Math.floor(options.budget.slots / chunkTokens));
  if (due <= MEASURED) {
    throw new UsageError(
      `${wanted.tokens} tokens in chunks of ${chunkTokens} are compacted ${due} times within ${options.budget.slots} slots, ` +
        `and ${MEASURED + 1} times are needed: more --tokens, or a smaller --budget or --chunk, works`,
    );
  }
  const open = () => model.openReading(policy, options);
  let kvType: StoredType;
  {
    using reading = await open();
    kvType = reading.kvType;
    for (const chunk of chunks) await reading.read(chunk);
    await write(reading, questionTokens, 2);
  }
  const speed = await atFullSpeed(gpu, await open(), chunks, questionTokens);
  const kernels = await ofKernels(gpu, await open(), chunks, wanted.wall);
  const recorded = await recordPolicy(model.config, policy, {
    budget: options.budget.slots,
    chunkTokens,
    question: questionTokens.length,
    reserve: options.reserve,
    positions: "compact",
    kvType,
  });
  const at = { live: recorded.live, kept: options.budget.slots, written: 0 };
  const bytes = recorded.chunk.launches.reduce((sum, launch) => sum + trafficOf(launch, at, gpu.kvType).bytes, 0);
  return {
    tokens: chunks.length * chunkTokens,
    slots: options.budget.slots,
    chunkTokens,
    written: WRITTEN,
    kvType,
    ...speed,
    ...kernels,
    bytes,
  };
}

type Reading = Awaited<ReturnType<LoadedModel["openReading"]>>;

async function optionsFor(
  { tokenizer, config, ...model }: LoadedModel,
  policy: Policy,
  { slots, chunkTokens: asked }: Wanted,
): Promise<ReaderOptions> {
  const chunkTokens = asked ?? defaultChunk("webgpu", { slots }, config);
  const questionTokens = tokenizer.encode(QUESTION, { control: false }),
    answerTokens = tokenizer.encode(ANSWER, { control: false });
  const rooms = { chunkTokens, reserve: questionTokens.length + WRITTEN, decodeBudget: Infinity };
  const budget = resolveBudget({
    config,
    policy,
    request: { slots },
    ...rooms,
    unboundedPositions: false,
    availableBytes: Infinity,
    allocation: await model.allocation(policy, rooms),
  });
  return {
    budget,
    chunkTokens,
    reserve: rooms.reserve,
    positions: "compact",
    questionTokens,
    answerTokens,
    tokenizer,
  };
}

/** Whole chunks of the novel. */
function chunksOf({ tokenizer }: LoadedModel, tokens: number, chunkTokens: number): number[][] {
  // a token is a few characters
  const ids = tokenizer.encode(mobyDick().slice(0, 8 * tokens), { control: false }),
    count = Math.floor(Math.min(tokens, ids.length) / chunkTokens);
  return Array.from({ length: count }, (_, i) => ids.slice(i * chunkTokens, (i + 1) * chunkTokens));
}

async function write(reading: Reading, question: number[], tokens: number): Promise<void> {
  let token = await reading.likeliestAfter(question);
  for (let i = 0; i < tokens; i++) token = await reading.likeliestNext(token);
}

/** Waits for all that was submitted. Reading back is what every runtime has. */
async function finished(gpu: Gpu): Promise<void> {
  const buffer = gpu.borrow(16);
  await gpu.read(buffer, new Uint32Array(1));
  gpu.release(buffer);
}

async function atFullSpeed(gpu: Gpu, opened: Reading, chunks: number[][], question: number[]) {
  using reading = opened;
  await finished(gpu);
  const started = performance.now(), times: number[] = [];
  let before = started;
  for (const chunk of chunks) {
    await reading.read(chunk);
    // a compaction ends with a few numbers that come back: what the GPU was given is done by then
    const now = performance.now();
    if (reading.compactions > 1) times.push(now - before);
    before = now;
  }
  await finished(gpu);
  const readMs = performance.now() - started;
  let token = await reading.likeliestAfter(question);
  const writing = performance.now();
  for (let i = 0; i < WRITTEN; i++) token = await reading.likeliestNext(token);
  return {
    readPerSecond: 1e3 * chunks.flat().length / readMs,
    chunkMs: mean(times),
    writtenPerSecond: 1e3 * WRITTEN / (performance.now() - writing),
  };
}

async function ofKernels(gpu: Gpu, opened: Reading, chunks: number[][], wall: boolean) {
  using reading = opened;
  const times = gpu.times = wall ? null : await PassTimes.open(gpu.device), found: number[] = [];
  try {
    for (const chunk of chunks) {
      let passEnded = 0;
      await reading.read(chunk, async () => {
        if (times) return;
        await finished(gpu);
        passEnded = performance.now();
      });
      await finished(gpu);
      const ms = times ? await times.take() : performance.now() - passEnded;
      if (reading.compactions > 1) found.push(ms);
    }
  } finally {
    gpu.times = null;
    times?.close();
  }
  return { kernelMs: mean(found), isTimed: times !== null, tick: times?.tick ?? 1 };
}

const mean = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0) / numbers.length;
