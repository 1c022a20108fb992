/**
 * The user's question asks: its tokens are forwarded after every chunk, where they will stand in the end, score the cache with their attention, and
 * are dropped again. Close to FINCH (TACL 2024), without its normalisation.
 */
import type { Evidence, Probe } from "../policy.ts";
import type { KvCache } from "../cache.ts";
import type { Engine } from "../engine/engine.ts";

/** A long question asks with its last tokens only, so that a probe stays cheap beside a chunk. */
const MAX_ROWS = 64;

export const question = (): Probe => ({
  name: "question",
  windowRows: 0,
  needs: { mass: true, question: true },
  look: ({ engine, cache, questionTokens, nextPosition }) =>
    askWith(engine, cache, questionTokens.slice(-MAX_ROWS), nextPosition),
});

/** Forwards probe tokens on top of the cache and gives the mass that they lay on its live slots. */
export async function askWith(
  engine: Engine,
  cache: KvCache,
  tokens: number[],
  firstPosition: number,
): Promise<Evidence> {
  const { mass } = await engine.pass(cache, { tokens, firstPosition, scoreRows: tokens.length });
  // the rows' mass on themselves stands behind the live slots
  return Object.fromEntries(
    Object.entries(mass!).map((
      [rows, heads],
    ) => [rows, heads.map((scores, head) => scores.subarray(0, cache.live[head]!))]),
  );
}
