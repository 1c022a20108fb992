/**
 * The user's question asks: its tokens are forwarded after every chunk, where they will stand in the end, score the cache with their attention, and
 * are dropped again. Close to FINCH (TACL 2024), without its normalisation.
 */
import type { Probe } from "../policy.ts";
import { askWith } from "./evidence.ts";

/** A long question asks with its last tokens only, so that a probe stays cheap beside a chunk. */
export const MAX_ROWS = 64;

export const question = (): Probe => ({
  name: "question",
  windowRows: 0,
  needs: { mass: true, question: true },
  look: ({ engine, cache, questionTokens, nextPosition }) =>
    askWith(engine, cache, questionTokens.slice(-MAX_ROWS), nextPosition),
});
