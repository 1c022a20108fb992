/** `palimpsest plan [files...]`: what a run would take, before it runs. The model's header and tokenizer are read, nothing is forwarded. */
import { BudgetError, UsageError } from "../core/errors.ts";
import type { ModelConfig } from "../core/engine/weights.ts";
import type { StoredType } from "../core/stored_rows.ts";
import type { WantedFeature } from "../kernels/device/adapter.ts";
import type { KvTypeWish } from "../kernels/reading/plan.ts";
import type { PolicyRecord, Positions, SourceRecord } from "../core/record.ts";
import type { Source } from "../core/text/document.ts";
import type { Tokenizer } from "../core/text/tokenizer.ts";
import { openDocuments, stdinIsPiped } from "./documents.ts";
import { cacheFolder } from "./folders.ts";
import { gpuFor } from "./gpus.ts";
import { availableBytes, defaultThreads, files } from "./host.ts";
import { withKnownHashes } from "./known_hashes.ts";
import { cpuKvType } from "./open.ts";
import { columns } from "./models.ts";
import { readableBytes, readableCount, readableDuration } from "./numbers.ts";
import { writeJson, writeOut } from "./output.ts";
import { packFiles } from "./packs.ts";
import { createRenderer, type Renderer } from "./render.ts";
import type { RunFlags } from "./run.ts";
import { interruption } from "./signals.ts";
import { readSpeed, roughSpeed } from "./speeds.ts";
import { resolveModel } from "./store.ts";

/** What `plan --json` prints. */
export interface PlanRecord {
  schema: "palimpsest.plan/1";
  command: "plan";
  model: { name: string; architecture: string; sha256: string; trainedPositions: number };
  policy: PolicyRecord;
  document: { sources: SourceRecord[]; tokens: number };
  kv: {
    budgetSlots: number;
    capacitySlots: number;
    bytes: number;
    /** What keys and values are stored in. */
    type: StoredType;
    /** Beside `bytes`, what a pass holds in f32 of rows that are not computed with as they are stored. */
    widenedBytes: number;
    /** Written slots that stay; null where everything that is written stays. */
    decodeBudgetSlots: number | null;
    compactions: number;
    /** Document tokens per slot that stays; at most 1 where nothing is evicted. */
    compression: number;
    positions: Positions;
    /** Layers that see the newest tokens only: they hold so many, beside the budget. Null where the model has none. */
    slidingLayers: { layers: number; ofLayers: number; windowTokens: number } | null;
  };
  /** What a GPU holds at most, where one would be taken: `kv.bytes` and the rest. ONNX Runtime's share is what its kernels were seen to keep. */
  gpu: { weightsBytes: number; activationBytes: number; peakBytes: number } | null;
  /** True: every token of the document stays. */
  fits: boolean;
  /** `measured` on an earlier run of this model here, or `rough`, from the size of the model. */
  time: { basis: "measured" | "rough"; prefillMs: number; decodeMs: number };
}

type PlanFlags = RunFlags;

/** Tokens that a short question takes in the prompt. */
const questionTokens = 32;

/** Prints the plan. @throws {BudgetError} with `--strict` when the document does not fit. */
export async function plan(names: string[], flags: PlanFlags): Promise<void> {
  if (names.length === 0 && !stdinIsPiped()) {
    throw new UsageError(
      "The document is missing: palimpsest plan book.txt, or pipe one in: cat book.txt | palimpsest plan",
    );
  }
  const sources = await openDocuments(names.length > 0 ? names : ["-"], createRenderer(flags).remark);
  const record = await makePlan(sources, flags);
  if (flags.strict && !record.fits) {
    const { kv, document } = record;
    throw new BudgetError(
      `The document of ${document.tokens} tokens does not fit into ${kv.budgetSlots} slots; without --strict it is compressed ` +
        `${kv.compression.toFixed(1)} times, or use --kv-budget ${document.tokens + questionTokens}`,
    );
  }
  if (flags.json) writeJson(record);
  else writeOut(planLines(record));
}

async function makePlan(sources: Source[], flags: PlanFlags): Promise<PlanRecord> {
  const [
    { defaultChunk, defaultPolicies, parsePolicy, resolveBudget, widenedBytes },
    { openModelFile },
    { modelSha256 },
    { cacheShape },
    { tokenizerOf },
    { renderPrompt },
    { packsOf, policyRecord },
    { openPacks },
    { writingRoom },
  ] = await Promise.all([
    import("../mod.ts"),
    import("../core/engine/open.ts"),
    import("../core/model_hash.ts"),
    import("../core/engine/layers.ts"),
    import("../core/text/model_tokenizer.ts"),
    import("../core/text/prompt.ts"),
    import("../core/policy.ts"),
    import("../core/pack/packs.ts"),
    import("../core/decode/room.ts"),
  ]);
  const policy = parsePolicy(flags.policy ?? defaultPolicies.ask);
  const gpuCan = await gpuFor(flags.device, policy), isOnGpu = gpuCan !== null;
  const cache = cacheFolder();
  const chosen = await resolveModel(cache, flags.model);
  const model = await openModelFile(files, chosen.path);
  try {
    const { config } = model, { sliding } = cacheShape(config);
    const tokenizer = await tokenizerOf(model);
    const { head } = renderPrompt(tokenizer, {
      ...(flags.system === undefined ? {} : { system: flags.system }),
      instruction: "?",
    });
    const headTokens = tokenizer.encode(head, { control: true }).length;
    const counted = await countTokens(sources, tokenizer, createRenderer(flags));
    const tokens = counted.reduce((sum, source) => sum + source.tokens, 0);
    const written = flags.maxTokens ?? 256;
    const writing = writingRoom(policy, { maxTokens: written, decodeBudget: flags.decodeBudget });
    const reserve = questionTokens + policy.recall.tokens + writing.slots;
    const request = flags.kvBudget ?? null;
    const chunkTokens = flags.chunk ?? defaultChunk(isOnGpu ? "webgpu" : "cpu", request, config);
    const rooms = { chunkTokens, reserve, decodeBudget: writing.budget };
    const packs = await openPacks(packsOf(policy), packFiles, model);
    const gpuKvType = gpuCan ? await kvTypeOn(gpuCan, config, flags.kvType) : "f32";
    const kvType = gpuCan ? gpuKvType : cpuKvType(flags.kvType);
    const allocation = isOnGpu
      ? await (await import("../kernels/reading/dry_run.ts")).gpuAllocation(
        policy,
        config,
        rooms,
        undefined,
        packs,
        gpuKvType,
      )
      : undefined;
    const budget = resolveBudget({
      config,
      policy,
      packs,
      request,
      chunkTokens,
      reserve,
      decodeBudget: writing.budget,
      unboundedPositions: flags.positions === "original",
      availableBytes: availableBytes(),
      documentTokens: tokens + headTokens,
      kvType,
      ...(allocation ? { allocation } : {}),
    });
    const sha256 = chosen.sha256 ?? await modelSha256(withKnownHashes(cache), model);
    const speed = await readSpeed(cache, sha256, isOnGpu ? "webgpu" : flags.device === "wasm" ? "wasm" : "cpu");
    let parameters = 0;
    for (const { shape } of model.tensors.values()) parameters += shape.reduce((a, b) => a * b, 1);
    const rough = roughSpeed(parameters, defaultThreads());
    const read = tokens + headTokens;
    const gpu = isOnGpu
      ? await (await import("../kernels/reading/device_memory.ts")).deviceMemory(
        model,
        policy,
        { ...rooms, slots: budget.slots },
        {
          tokens: read,
          question: questionTokens,
          tail: questionTokens + (read > budget.slots ? policy.recall.tokens : 0),
        },
        false,
        gpuKvType,
      )
      : null;
    return {
      schema: "palimpsest.plan/1",
      command: "plan",
      model: {
        name: chosen.name,
        architecture: config.architecture,
        sha256,
        trainedPositions: config.trainedPositions,
      },
      policy: policyRecord(policy),
      document: { sources: counted, tokens },
      kv: {
        budgetSlots: budget.slots,
        capacitySlots: budget.capacity,
        bytes: gpu?.kv ?? budget.bytes,
        type: kvType,
        widenedBytes: gpu?.widened ?? widenedBytes(config, budget.capacity, kvType),
        decodeBudgetSlots: writing.budget === Infinity ? null : writing.budget,
        compactions: policy.evicts ? compactionsOf(read, budget.slots, chunkTokens) : 0,
        compression: read / budget.slots,
        slidingLayers: sliding
          ? { layers: sliding.layers, ofLayers: config.layers, windowTokens: sliding.window }
          : null,
        positions: positionsOf(flags.positions, read, budget.slots, chunkTokens + reserve, config.trainedPositions),
      },
      gpu: gpu && { weightsBytes: gpu.weights, activationBytes: gpu.activations, peakBytes: gpu.peak },
      fits: read <= budget.slots,
      time: {
        basis: speed ? "measured" : "rough",
        prefillMs: Math.round(1000 * (read + questionTokens) / (speed ?? rough).prefill),
        decodeMs: Math.round(1000 * written / (speed ?? rough).decode),
      },
    };
  } finally {
    await model.close();
  }
}

/** What a GPU's cache will store. One that is not here has what is wished for. */
async function kvTypeOn(
  gpuCan: ReadonlySet<WantedFeature>,
  config: Pick<ModelConfig, "headDim" | "largeProducts">,
  wish: KvTypeWish | undefined,
): Promise<StoredType> {
  const { kvTypes } = await import("../kernels/reading/plan.ts");
  const can = gpuCan.size === 0 && wish === "f16" ? new Set(["shader-f16"] as const) : gpuCan;
  return kvTypes(can, config, wish)[0]!;
}

async function countTokens(sources: Source[], tokenizer: Tokenizer, renderer: Renderer): Promise<SourceRecord[]> {
  const [{ readText }, { pieceTokens }] = await Promise.all([
    import("../core/text/document.ts"),
    import("../core/text/piece_tokens.ts"),
  ]);
  const counted: SourceRecord[] = [];
  const bytes = sources.reduce((sum, source) => sum + (source.size ?? NaN), 0);
  try {
    for (const source of sources) {
      const text = readText(source, renderer.remark);
      const stream = tokenizer.stream();
      let tokens = 0;
      for await (const piece of text) {
        interruption.throwIfAborted();
        const found = pieceTokens(stream, piece);
        tokens += found.before.length + found.tokens.length;
        renderer.transfer("counting", counted.reduce((sum, one) => sum + one.bytes, text.bytes), bytes || undefined);
      }
      tokens += stream.finish().length;
      counted.push({ name: source.name, type: text.type, bytes: text.bytes, tokens });
    }
    return counted;
  } finally {
    renderer.clear();
  }
}

/** A compaction follows every chunk that leaves more live slots than the budget. */
function compactionsOf(tokens: number, slots: number, chunk: number): number {
  let live = 0;
  let compactions = 0;
  for (let left = tokens; left > 0; left -= chunk) {
    live += Math.min(chunk, left);
    if (live > slots) {
      live = slots;
      compactions++;
    }
  }
  return compactions;
}

/** `auto` moves to compact positions when the trained ones would run out, which only a compaction can do. */
function positionsOf(
  flag: RunFlags["positions"],
  tokens: number,
  slots: number,
  overhead: number,
  trained: number,
): Positions {
  if (flag !== "auto") return flag;
  return tokens > slots && tokens + overhead > trained ? "compact" : "original";
}

/** The plan in words. */
export function planLines(record: PlanRecord): string {
  const { document, kv, time, fits } = record;
  const times = kv.compactions === 1 ? "1 compaction" : `${readableCount(kv.compactions)} compactions`;
  const what = fits ? "everything stays" : `1 token in ${kv.compression.toFixed(1)} stays (${times})`;
  const about = time.basis === "measured" ? "as measured here" : "roughly, nothing was measured here yet";
  return columns([
    ...document.sources.map((
      source,
    ) => [source.name, `${readableCount(source.tokens)} tokens, ${readableBytes(source.bytes)}`]),
    [
      "document",
      `${readableCount(document.tokens)} tokens; ${record.model.name} was trained on ${
        readableCount(record.model.trainedPositions)
      }`,
    ],
    ["policy", `${record.policy.name}: ${what}`],
    [
      "KV memory",
      `${readableBytes(kv.bytes)}: ${readableCount(kv.budgetSlots)} slots kept${
        kv.type === "f32" ? "" : ` in ${kv.type}`
      }, ${readableCount(kv.capacitySlots)} allocated${
        kv.decodeBudgetSlots === null ? "" : `, ${readableCount(kv.decodeBudgetSlots)} of them for what is written`
      }${kv.widenedBytes > 0 ? `; ${readableBytes(kv.widenedBytes)} of them wide at a time` : ""}`,
    ],
    ...(kv.slidingLayers
      ? [[
        "",
        `${kv.slidingLayers.layers} of ${kv.slidingLayers.ofLayers} layers keep only their newest ${
          readableCount(kv.slidingLayers.windowTokens)
        } tokens; the slots are those of the other layers`,
      ]]
      : []),
    ...(record.gpu
      ? [[
        "GPU memory",
        `${readableBytes(record.gpu.peakBytes)} with it: weights ${readableBytes(record.gpu.weightsBytes)}, ` +
        `activations ${readableBytes(record.gpu.activationBytes)}`,
      ]]
      : []),
    ["positions", kv.positions],
    [
      "time",
      `${readableDuration(time.prefillMs)} to read, up to ${readableDuration(time.decodeMs)} to answer (${about})`,
    ],
  ]);
}
