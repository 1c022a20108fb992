/** What a probe sees, without a reader: a cache with a document in it and the pass of its last chunk. */
import { KvCache } from "../../core/cache.ts";
import type { Engine } from "../../core/engine/engine.ts";
import type { Evidence, Probe, ProbeContext } from "../../core/policy.ts";
import { DocumentMean } from "../../core/probe/document_mean.ts";
import { difference, fakeTokenizer } from "../tiny_llama.ts";

export interface Setting extends Partial<ProbeContext> {
  /** The document's token ids. */
  ids: number[];
  /** Tokens of a chunk. Default: all. */
  size?: number;
  /** Slots per head. Default: as many as the document has, and 64. */
  capacity?: number;
}

/** Reads the document in chunks, as the reader does under this probe, with nothing evicted. @returns context and evidence after the last chunk */
export async function look(engine: Engine, probe: Probe, setting: Setting) {
  const { ids, size = ids.length, capacity = ids.length + 64, ...more } = setting;
  const cache = new KvCache(engine.config, capacity, probe.attributes);
  const { metasoft } = engine.packs;
  const document = probe.needs?.documentMean ? new DocumentMean(metasoft!.table, 0, metasoft!.salience) : null;
  let context: ProbeContext | null = null, evidence: Evidence = {};
  for (let from = 0; from < ids.length; from += size) {
    const tokens = ids.slice(from, from + size), to = from + tokens.length, last = to === ids.length;
    document?.add(tokens);
    const chunk = await engine.pass(cache, {
      tokens,
      firstPosition: from,
      scoreRows: last || probe.everyChunk ? Math.min(probe.windowRows, tokens.length) : 0,
      factsFrom: 0,
    });
    cache.append(chunk.keys, chunk.values, tokens.length, from, from);
    context = probeContext(engine, cache, { chunk, tokens, tokensRead: to, document, ...more });
    if (last || probe.everyChunk) evidence = await probe.look(context);
  }
  return { context: context!, cache, evidence };
}

/** A context over a cache that is filled already. */
export function probeContext(
  engine: Engine,
  cache: KvCache,
  given: Pick<ProbeContext, "chunk" | "tokens" | "tokensRead"> & Partial<ProbeContext>,
): ProbeContext {
  return {
    engine,
    cache,
    budget: given.tokensRead,
    mostSlots: Infinity,
    packs: engine.packs,
    document: null,
    protectedSlots: Array.from(cache.live, (live) => new Uint8Array(live)),
    questionTokens: [],
    answerTokens: [],
    nextPosition: given.tokensRead,
    positionsLeft: Infinity,
    tokenizer: fakeTokenizer,
    rows: ["mean"],
    ...given,
  };
}

/** A cache of invented rows: `fill(slot, dimension, head)` for keys and values, tokens from 0 on. */
export function inventedCache(
  shape: { layers: number; kvHeads: number; headDim: number },
  slots: number,
  fill: {
    key: (head: number, slot: number, d: number) => number;
    value?: (head: number, slot: number, d: number) => number;
  },
  attributes: Probe["attributes"] = [],
): KvCache {
  const cache = new KvCache(shape, slots, attributes);
  const rows = (of: (head: number, slot: number, d: number) => number) =>
    Array.from(
      { length: cache.heads },
      (_, head) =>
        Float32Array.from(
          { length: slots * shape.headDim },
          (_, i) => of(head, Math.floor(i / shape.headDim), i % shape.headDim),
        ),
    );
  cache.append(rows(fill.key), rows(fill.value ?? (() => 0)), slots, 0, 0);
  return cache;
}

/** Largest difference over all heads; Infinity where a head has another number of slots. */
export function worst(measured: ArrayLike<number>[], asked: ArrayLike<number>[]): number {
  if (measured.length !== asked.length) return Infinity;
  return Math.max(...measured.map((row, head) => difference(row, asked[head]!)));
}

/** Keys, values, tokens and positions of all live slots, to see that a probe left them as they were. */
export function snapshot(cache: KvCache) {
  return Array.from(cache.live, (live, head) => ({
    live,
    room: cache.room[head],
    start: cache.start[head],
    keys: cache.keyRows(head).slice(),
    values: cache.valueRows(head).slice(),
    source: cache.sources(head).slice(),
  }));
}
