/**
 * The answer's role asks: after every chunk the start of an assistant's turn and the first words of any answer stand where the answer will be, score the
 * cache with their attention, and are dropped again. Nothing is trained, and the question need not be known. Own; it is where Judge Q
 * (arXiv 2509.10798) begins: standing in the answer's role at the answer's positions gave most of what its training gives.
 */
import type { Probe, ProbeContext } from "../policy.ts";
import { askWith } from "./evidence.ts";

/** Says nothing about any document: it only makes the model look for what an answer would need. */
const OPENING = "The text describes the following: The answer is that, according to the text, the main point is";

/** As many as Judge Q's soft tokens. */
export const ROLE_ROWS = 32;

/** Give the mean over the rows, without pooling (aggregate `mean-unpooled`): the rows are unlike each other, and their maximum is worse. */
export const role = (): Probe => ({
  name: "role",
  windowRows: 0,
  needs: { mass: true },
  look: (context) => askWith(context.engine, context.cache, roleTokens(context), context.nextPosition),
});

/** The answer's start and the opening over and over, 32 tokens; fewer where fewer positions are left. */
export function roleTokens(
  { answerTokens, tokenizer, positionsLeft }: Pick<ProbeContext, "answerTokens" | "tokenizer" | "positionsLeft">,
): number[] {
  const cycle = [...answerTokens, ...tokenizer.encode(OPENING, { control: false })];
  return Array.from({ length: Math.min(ROLE_ROWS, positionsLeft) }, (_, i) => cycle[i % cycle.length]!);
}
