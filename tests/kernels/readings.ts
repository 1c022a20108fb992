/**
 * Whole policies on the GPU against the CPU's: the same chunks through both, and after every compaction the same slots stay. Prints what it compared as
 * JSON; a process of its own, under Bun and Deno (`readings_test.ts` starts it, with the names of policies wanted or none for all). Policies take turns with
 * original and compact positions; with the word `both-positions` each is read with both, with the word `f16` the GPU's cache is in half precision.
 * `model=<name>` takes another golden model.
 */
import process from "node:process";
import { argmax } from "../../core/decode/write.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { DECODE_BLOCK } from "../../core/decode/evict.ts";
import { resolveBudget } from "../../core/budget.ts";
import { parsePolicy, policies as named } from "../../core/policies.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import { computedIn } from "../../core/gpu_cache.ts";
import { leastBudget, needs, type Policy } from "../../core/policy.ts";
import type { Reading } from "../../core/reading.ts";
import { Reader, type ReaderOptions } from "../../core/reader.ts";
import type { Positions } from "../../core/record.ts";
import { GpuReading } from "../../kernels/reading/gpu_reading.ts";
import { isWide } from "../../kernels/reading/plan.ts";
import { unsupportedOnGpu } from "../../kernels/reading/supported.ts";
import { ValueNorms } from "../../kernels/reading/value_norms.ts";
import { open } from "../golden/open.ts";
import { fixture } from "../host.ts";
import { EVERY_FEATURE, randomPacks } from "../packs.ts";
import { openTestGpu } from "../engine/gpu_device.ts";
import { type OpenedGpu, usingGpu } from "../engine/gpu_open.ts";
import { counting } from "./counting.ts";
import { difference, gapBetween, watched } from "./kept_slots.ts";
import { difference as apart, fakeTokenizer, TINY, tokens } from "../tiny_llama.ts";

const QUESTION = tokens(12, 9), CHUNK = 64, CHUNKS = 6;
/** Written tokens, and so many of them stay under a policy that evicts while writing. */
const WRITTEN = 6, WRITTEN_MUCH = 60, DECODE_BUDGET = 24;
/** Ways to evict what is written that no policy by name has. */
const SPELLED = ["probe=judgeq+question"];
const DECODING = ["h2o", "tova", "rkv", "moment-recent"].map((decode) =>
  `probe=window,aggregate=mean,select=topk,decode=${decode}`
);
/** Memories beside heads of unequal length, and beside a probe that hides the rest of the cache for the while. */
const REMEMBERING = ["window,aggregate=mean,allocate=ada", "kvzip,aggregate=none"].map((probe) =>
  `probe=${probe},compensate=latent-memory`
);
const document = tokens(CHUNK * CHUNKS - 7, 3);

/** Policies under which notes are written along the way: one whose heads are alike, and one whose heads are not. */
const NOTED = ["coverage", "kvzip"];
const isNoted = ({ name }: Policy) => NOTED.includes(name);
const NOTE_TOKENS = 4;

interface Compared {
  /** Slots that both keep, of all that the CPU keeps, after every chunk. */
  same: number[];
  kept: number;
  /** Where they first keep others: by how much the scores of these differ, of a head's largest. */
  gap: number | null;
  tokens: boolean;
  /** Written tokens that the other's logits are for, and of these the same. */
  written: number;
  agreed: number;
  logits: number;
  compactions: number;
  evictedWritten: number;
  noted: number;
  /** Bytes mapped for reading by anybody, ONNX Runtime included: the most for a chunk, and for a written token of which only the id is wanted. */
  readBack: number;
  readBackToken: number;
}

/** What is printed of a policy's reading. */
export interface Line extends Compared {
  policy: string;
  positions: Positions;
  kvType: StoredType;
  evictsWritten: boolean;
  takesNotes: boolean;
  error?: string;
  unsupported?: string;
}

type TestGpu = Awaited<ReturnType<typeof openTestGpu>>;

/** Both devices read the document and go on writing; the slots of both are compared after every chunk. */
async function compare(
  gpu: TestGpu,
  on: OpenedGpu,
  cpu: Engine,
  norms: ValueNorms,
  policy: Policy,
  positions: Positions,
) {
  const { evicts } = policy.decode, count = evicts ? WRITTEN_MUCH : WRITTEN;
  const reserve = QUESTION.length + (evicts ? DECODE_BUDGET + DECODE_BLOCK : WRITTEN);
  const slots = Math.max(96, leastBudget(policy) + 20);
  const budget = resolveBudget({
    config: cpu.config,
    policy,
    request: { slots },
    chunkTokens: CHUNK,
    reserve,
    unboundedPositions: true,
    availableBytes: 4e9,
    packs: cpu.packs,
  });
  const options: ReaderOptions = {
    budget,
    chunkTokens: CHUNK,
    reserve,
    positions,
    questionTokens: QUESTION,
    answerTokens: tokens(5, 4),
    tokenizer: fakeTokenizer,
    ...(evicts ? { decodeBudget: DECODE_BUDGET } : {}),
  };
  const seen = watched(policy), plain = new Reader(cpu, seen.policy, options);
  using reading = new GpuReading(gpu, on.engine, policy, options, needs(policy, "valueNorms") ? norms : null);
  const found: Compared = {
    same: [],
    kept: 0,
    gap: null,
    tokens: true,
    written: 0,
    agreed: 0,
    logits: 0,
    compactions: 0,
    evictedWritten: 0,
    noted: 0,
    readBack: 0,
    readBackToken: 0,
  };
  const compareSlots = async () => {
    const live = await reading.liveTokens();
    const scores = seen.scored.splice(0);
    let same = 0, gap = 0;
    found.kept = 0;
    live.forEach((mine, head) => {
      const theirs = plain.cache.sources(head);
      const { onlyTheirs, onlyMine } = difference(theirs, mine);
      same += theirs.length - onlyTheirs.length;
      const scored = scores[head], isScored = (token: number) => scored!.has(token);
      if (scored) gap = Math.max(gap, gapBetween(scored, onlyTheirs.filter(isScored), onlyMine.filter(isScored)));
      found.kept += Math.max(theirs.length, mine.length);
    });
    found.same.push(same / found.kept);
    if (same < found.kept) found.gap ??= gap;
  };
  for (let from = 0; from < document.length; from += CHUNK) {
    const chunk = document.slice(from, from + CHUNK);
    const notes: number[][] = [];
    counts();
    seen.scored.length = 0;
    for (const reader of [plain, reading]) {
      await reader.read(chunk, async () => {
        if (isNoted(policy)) notes.push(await noteOf(reader, reader.tokensRead - CHUNK - 20));
      });
    }
    if (notes.length > 0 && notes[0]!.join() !== notes[1]!.join()) found.tokens = false;
    found.noted += notes.length / 2;
    if (plain.compactions === 0) continue;
    found.readBack = Math.max(found.readBack, counts().bytesBack);
    await compareSlots();
  }
  found.compactions = reading.compactions;
  if (plain.compactions !== reading.compactions) found.tokens = false;
  // every other token all logits are wanted, and else only the id of the largest
  let a = await plain.write(QUESTION), b: Float32Array | number = await reading.write(QUESTION);
  for (let i = 0; i < count; i++) {
    const token = argmax(a), { evictedWritten } = plain;
    if (typeof b !== "number") found.logits = Math.max(found.logits, apart(a, b));
    found.written++;
    if ((typeof b === "number" ? b : argmax(b)) === token) found.agreed++;
    else found.tokens = false;
    a = await plain.next(token);
    counts();
    b = i % 2 === 0 ? await reading.likeliestNext(token) : await reading.next(token);
    if (typeof b === "number") found.readBackToken = Math.max(found.readBackToken, counts().bytesBack);
    if (plain.evictedWritten > evictedWritten) await compareSlots();
  }
  found.evictedWritten = reading.evictedWritten;
  if (plain.evictedWritten !== reading.evictedWritten || plain.nextPosition !== reading.nextPosition) {
    found.tokens = false;
  }
  return found;
}

/** What is written on the side over the tokens from `first` on. */
const noteOf = (reader: Reading, first: number) =>
  reader.aside(first, async () => {
    const written: number[] = [];
    for (let token = await reader.likeliestAfter(QUESTION); written.length < NOTE_TOKENS;) {
      written.push(token);
      token = await reader.likeliestNext(token);
    }
    return written;
  });

const gpu = await openTestGpu(), counts = counting(gpu);
console.log(JSON.stringify({ adapter: gpu.adapter.name }));
const words = process.argv.slice(2), both = words.includes("both-positions");
const kvType: StoredType = words.includes("f16") ? "f16" : words.includes("int8") ? "int8" : "f32";
gpu.kvType = computedIn(kvType);
const other = words.find((word) => word.startsWith("model="))?.slice("model=".length);
const model = other ? fixture(`golden/models/${other}`) : TINY;
const wanted = words.filter((word) => !["both-positions", "f16", "int8"].includes(word) && !word.startsWith("model=")),
  names = wanted.length > 0 ? wanted : [...Object.keys(named), ...SPELLED, ...DECODING, ...REMEMBERING];
let turn = 0;
// one graph for all policies: opening an engine takes longer than reading
const cpu = await open(model, {
  features: { ...EVERY_FEATURE, kvType: kvType === "int8" ? "int8" : "f32" },
  packs: randomPacks,
});
for (const logBias of [false, true]) {
  const mine = names.map(parsePolicy).filter((policy) => policy.evicts && isWide(policy, isNoted(policy)) === logBias);
  if (mine.length === 0) continue;
  await usingGpu(
    gpu.device,
    model,
    { features: { ...EVERY_FEATURE, logBias, kvType }, packs: randomPacks },
    async (on) => {
      const norms = await ValueNorms.open(gpu, on.engine, async (layer) => {
        const { type, bytes } = await on.model.tensor(`layers.${layer}.self_attn.o_proj`);
        return Float32Array.from(dequantise(type, bytes));
      });
      for (const policy of mine) {
        const unsupported = unsupportedOnGpu(policy);
        if (unsupported) {
          console.log(JSON.stringify({ policy: policy.name, unsupported }));
          continue;
        }
        for (
          const positions of both
            ? ["original", "compact"] as const
            : [turn++ % 2 === 0 ? "original" : "compact"] as const
        ) {
          const started = performance.now();
          const found = await compare(gpu, on, cpu.engine, norms, policy, positions)
            .catch((error) => ({ error: String(error?.stack ?? error) }));
          console.log(
            JSON.stringify({
              policy: policy.name,
              positions,
              ms: Math.round(performance.now() - started),
              kvType,
              evictsWritten: policy.decode.evicts,
              takesNotes: isNoted(policy),
              ...found,
            }),
          );
        }
      }
      norms.close();
    },
  );
}
await cpu.close();
process.exit(0);
