/**
 * What it takes to repeat the text stays: every chunk is forwarded a second time, behind the request to repeat it, and each of its slots is scored by the
 * largest attention that any row of the repetition, in any head of the group, gave to it (KVzip, arXiv 2505.23416; kvpress's form). The score is given
 * once per token. The softmax is the paper's: sinks, chunk and repetition, as all other slots are out of sight for the while.
 *
 * Differs: the repetition's own hidden states see the sinks and the chunk only (kvpress: the whole context, narrowed for the scores alone); a chunk is
 * the reader's, not 2,048 tokens; the budget holds while reading, where the paper compresses once at the end. A chunk is repeated in pieces where fewer
 * positions are left than it has tokens.
 */
import { type Probe, type ProbeContext, SINKS } from "../policy.ts";

const REPEAT = "\n\nRepeat the previous context exactly.";
const GO_ON = "\n\nRepeat the part of the previous context exactly, starting with";
/** Tokens of the piece before that a later piece starts with. */
const OVERLAP = 8;

export const kvzip = (): Probe => ({
  name: "kvzip",
  windowRows: 0,
  everyChunk: true,
  needs: { mass: ["max"] },
  attributes: ["score"],
  async look(context) {
    const { cache, tokens, tokensRead } = context;
    await cache.narrowed(tokensRead - tokens.length, SINKS, async () => {
      for (const piece of repetition(context)) await score(context, piece);
    });
    return { score: Array.from(cache.live, (_, head) => cache.attribute("score", head)) };
  },
});

/** Raises the scores of the chunk's slots, which stand last in every head, to what a piece of the repetition gives to them. */
async function score({ engine, cache, tokens, nextPosition }: ProbeContext, piece: number[]): Promise<void> {
  const pass = { tokens: piece, firstPosition: nextPosition, scoreRows: piece.length };
  const { max } = (await engine.pass(cache, pass)).mass!;
  for (let head = 0; head < cache.heads; head++) {
    const scores = cache.attribute("score", head), mass = max![head]!;
    for (let slot = scores.length - tokens.length; slot < scores.length; slot++) {
      if (mass[slot]! > scores[slot]!) scores[slot] = mass[slot]!;
    }
  }
}

/** The request, the start of the answer and the chunk; several pieces where the positions do not hold all of it. */
export function repetition(
  { tokens, answerTokens, tokenizer, positionsLeft }: Pick<
    ProbeContext,
    "tokens" | "answerTokens" | "tokenizer" | "positionsLeft"
  >,
): number[][] {
  const pieces: number[][] = [];
  for (let from = 0; from < tokens.length;) {
    const request = tokenizer.encode(from === 0 ? REPEAT : GO_ON, { control: false });
    const opening = [...request, ...tokens.slice(Math.max(0, from - OVERLAP), from), ...answerTokens];
    // a request that would leave no room keeps its end
    const front = opening.slice(-Math.max(1, Math.floor(positionsLeft / 2)));
    const length = Math.min(tokens.length - from, Math.max(1, positionsLeft - front.length));
    pieces.push([...front, ...tokens.slice(from, from + length)]);
    from += length;
  }
  return pieces;
}
