/** A prompt on the CPU: scored, compressed and continued through the pipeline's own stages. */
import { ada } from "../../../core/allocate/ada.ts";
import { pyramid } from "../../../core/allocate/pyramid.ts";
import { uniform } from "../../../core/allocate/uniform.ts";
import { KvCache } from "../../../core/cache.ts";
import { compact } from "../../../core/compact.ts";
import { merge } from "../../../core/compensate/merge.ts";
import type { Engine, PassResult } from "../../../core/engine/engine.ts";
import type { ProbeContext, Scores, SelectContext, StageContext } from "../../../core/policy.ts";
import { Rope } from "../../../core/rope.ts";
import { critical, twoStages } from "../../../core/select/critical.ts";
import { topk } from "../../../core/select/topk.ts";
import { fakeTokenizer } from "../../tiny_llama.ts";
import type { Compressed, Compression, PromptFacts, PromptOptions, Scoring, TestedPrompt } from "../device.ts";
import { cacheFor, decode, forward } from "../forward.ts";
import { equal } from "../report.ts";

export class CpuPrompt implements TestedPrompt {
  constructor(private readonly engine: Engine, private readonly asked: PromptOptions) {}

  get config() {
    return this.engine.config;
  }

  async facts(): Promise<PromptFacts> {
    const { engine, asked: { ids, decodeIds } } = this, cache = cacheFor(engine, ids.length + decodeIds.length);
    const facts = await engine.pass(cache, { tokens: ids, firstPosition: 0, factsFrom: 0 });
    await forward(engine, cache, ids);
    const heads = Array.from({ length: cache.heads }, (_, head) => head);
    return {
      valueNorms: facts.valueNorms!,
      moments: facts.queryMoments!,
      keys: heads.map((head) => cache.keyRows(head).slice()),
      values: heads.map((head) => cache.valueRows(head).slice()),
      logits: await decode(engine, cache, decodeIds, ids.length),
    };
  }

  async scores({ probe, aggregate, sinks }: Scoring, sizes: number[], slots: number): Promise<Scores> {
    const { engine, asked: { ids } } = this, own = new KvCache(engine.config, ids.length, probe.attributes);
    let scores: Scores = [];
    for (let from = 0, i = 0; from < ids.length; i++) {
      const tokens = ids.slice(from, from + sizes[Math.min(i, sizes.length - 1)]!);
      const chunk = await engine.pass(own, {
        tokens,
        firstPosition: from,
        scoreRows: Math.min(probe.windowRows, tokens.length),
        factsFrom: Math.min(sinks, tokens.length - 1),
      });
      own.append(chunk.keys, chunk.values, tokens.length, from, from);
      from += tokens.length;
      const context = { ...this.context(own, chunk, tokens, from), rows: aggregate.rows };
      const evidence = await probe.look(context);
      if (from < ids.length) continue;
      const before = evidence.mean
        ? { ...evidence, mean: evidence.mean.map((row) => row.subarray(0, slots)) }
        : evidence;
      scores = await aggregate.score(before, context);
    }
    return scores.map((row) => row.slice(0, slots));
  }

  async compress(scores: Scores, by: Compression): Promise<Compressed> {
    const { engine, asked: { ids, decodeIds } } = this, n = ids.length;
    const cache = cacheFor(engine, n + decodeIds.length);
    await forward(engine, cache, ids);
    const { budget, protectedSlots } = by;
    const context: StageContext = { engine, cache, budget, mostSlots: Infinity, tokensRead: n, protectedSlots };
    const quotas = quotasOf(scores, context, by), norms = this.asked.valueNorms ? await this.valueNorms() : null;
    const source = Int32Array.from({ length: n }, (_, token) => token);
    const contexts = scores.map((_, head): SelectContext => ({
      quota: quotas[head]!,
      protectedSlots: protectedSlots[head]!,
      source,
      valueNorm: norms?.[head] ?? new Float32Array(0),
      tokensRead: n,
    }));
    const { firstStage, epsilon } = by.critical ?? {}, select = by.critical ? critical(firstStage, epsilon) : topk();
    const stages = by.critical ? scores.map((row, head) => twoStages(row, contexts[head]!, firstStage, epsilon)) : null;
    const keep = scores.map((row, head) => select.keep(row, contexts[head]!));
    if (by.merge) {
      // kvpress lets the window receive too
      const open = scores.map(() => new Uint8Array(n));
      await merge(by.merge.threshold).apply({ ...context, protectedSlots: open, keep, scores, evidence: {} });
    }
    const start = compact(cache, keep, by.positions, new Rope(engine.config), n, by.sinks);
    return {
      quotas,
      stages,
      keep,
      live: cache.live.slice(),
      keys: keep.map((_, head) => cache.keyRows(head).slice()),
      values: keep.map((_, head) => cache.valueRows(head).slice()),
      start,
      logits: await decode(engine, cache, decodeIds, start),
    };
  }

  private async valueNorms(): Promise<Float32Array[]> {
    const pass = { tokens: this.asked.ids, firstPosition: 0, factsFrom: 0 };
    return (await this.engine.pass(cacheFor(this.engine, 0), pass)).valueNorms!;
  }

  /** After a chunk of the prompt, with nothing protected. */
  private context(cache: KvCache, chunk: PassResult, tokens: number[], tokensRead: number): Omit<ProbeContext, "rows"> {
    return {
      engine: this.engine,
      cache,
      chunk,
      tokens,
      budget: tokensRead,
      mostSlots: Infinity,
      tokensRead,
      protectedSlots: Array.from(cache.live, (live) => new Uint8Array(live)),
      questionTokens: [],
      answerTokens: [],
      nextPosition: tokensRead,
      document: null,
      packs: this.engine.packs,
      positionsLeft: Infinity,
      tokenizer: fakeTokenizer,
    };
  }
}

function quotasOf(scores: Scores, context: StageContext, { quotas: by, checks }: Compression): Int32Array {
  if (by.kind === "uniform") return uniform().quotas(scores, context);
  if (by.kind === "ada") return ada(by.share).quotas(scores, context);
  if (by.isStage) checks.push(equal("quotas of the stage", pyramid(by.beta).quotas(scores, context), by.quotas));
  return by.quotas;
}
