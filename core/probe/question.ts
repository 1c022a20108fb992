/**
 * The user's question asks: its tokens are forwarded after every chunk, where they will stand in the end, score the cache with their attention, and
 * are dropped again. Close to FINCH (TACL 2024), without its normalisation.
 */
import type { Probe } from "../policy.ts";

/** A long question asks with its last tokens only, so that a probe stays cheap beside a chunk. */
const MAX_ROWS = 64;

export const question = (): Probe => ({
  name: "question",
  windowRows: 0,
  needsMass: true,
  async look({ engine, cache, questionTokens, nextPosition }) {
    const tokens = questionTokens.slice(-MAX_ROWS);
    const { mass } = await engine.pass(cache, {
      tokens,
      firstPosition: nextPosition,
      scoreRows: tokens.length,
    });
    // the rows' mass on themselves stands behind the live slots
    return mass!.map((scores, head) => scores.subarray(0, cache.live[head]!));
  },
});
