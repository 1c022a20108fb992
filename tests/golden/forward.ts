/** Prompts through the engine, as the reader forwards them but without a policy. */
import { KvCache } from "../../core/cache.ts";
import { cacheShape } from "../../core/engine/layers.ts";
import type { Engine, PassResult } from "../../core/engine/engine.ts";

/** A cache that holds `slots` rows per head. */
export function cacheFor(engine: Engine, slots: number): KvCache {
  return new KvCache(cacheShape(engine.config), slots);
}

/** Forwards `ids` in chunks of `size` onto the cache. `take` sees every pass with the index of its first row. */
export async function forward(
  engine: Engine,
  cache: KvCache,
  ids: number[],
  { size = ids.length, logitsRows = 0, scoreRows = 0, firstPosition = cache.live[0]!, take = () => {} }: {
    size?: number;
    /** Of the whole prompt. */
    logitsRows?: number;
    /** Of the last chunk. */
    scoreRows?: number;
    firstPosition?: number;
    take?: (result: PassResult, firstRow: number, rows: number) => void;
  } = {},
): Promise<{ logits: Float32Array; last: PassResult }> {
  const logits = new Float32Array(logitsRows * engine.config.vocab);
  let filled = 0, last: PassResult | null = null;
  for (let from = 0; from < ids.length; from += size) {
    const tokens = ids.slice(from, from + size), end = from + tokens.length, isLast = end === ids.length;
    const wanted = Math.max(0, Math.min(tokens.length, end - (ids.length - logitsRows)));
    const position = firstPosition + from;
    last = await engine.pass(cache, {
      tokens,
      firstPosition: position,
      logitsRows: wanted,
      scoreRows: isLast ? scoreRows : 0,
    });
    cache.append(last.keys, last.values, tokens.length, position, position);
    if (last.logits) {
      logits.set(last.logits, filled);
      filled += last.logits.length;
    }
    take(last, from, tokens.length);
  }
  return { logits, last: last! };
}

/** Forwards the ids one at a time from `firstPosition` on: logits [ids, vocab]. */
export async function decode(engine: Engine, cache: KvCache, ids: number[], firstPosition: number) {
  const { logits } = await forward(engine, cache, ids, { size: 1, logitsRows: ids.length, firstPosition });
  return logits;
}
