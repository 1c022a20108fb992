/**
 * Passages of the document are read again before the answer: those on which the question's attention lies once everything has been read. Keys and
 * values of a passage lose neighbours with every compaction; its token ids cost four bytes each and lose nothing. The best passage comes last, nearest to
 * the question, where a small model copies from most faithfully; one with less than half of its weight is left out, as it only distracts.
 *
 * Some slots draw attention whatever is asked (the ends of a text, names in its first lines). So a question about nothing in particular asks too, and
 * only what the real one looks at more than that counts.
 *
 * Own. Measured before it was built (SmolLM2-135M): of 25 questions about 33,000 tokens of addresses to the Congress at 1,024 slots, the best passage
 * held the answer for 21, while the kept slots alone gave it for 2; of four needles of one form the wanted one lay in the best passage in 16 of 17
 * documents of 8,000 tokens at 512 slots, and the kept slots gave its number in a third of them. To answer from the passages alone, with the kept slots
 * out of sight, was worse: 14 against 19 of 24 questions about one address.
 */
import type { DocumentText, Passage, Recall, RecallContext, Scores } from "../policy.ts";
import { NEIGHBOURS } from "./known_text.ts";

/** What draws attention to this, too, says nothing about the real question. */
const GENERAL = "\n\nWhat is the text about?";
/** Tokens that a passage is found by. */
const WIDTH = 64;
/** Tokens by which it is then widened on both sides. */
const MARGIN = NEIGHBOURS;
/** A passage with less than this share of the best one's weight is left out. */
const SHARE = 0.5;

/** @param count passages that are read again at most */
export const quote = (count = 3): Recall => ({
  name: "quote",
  tokens: count * (WIDTH + 2 * MARGIN + 8) + 16,
  needs: { mass: ["max"], text: true },
  async passages(context) {
    const { questionTokens, tokenizer } = context;
    const asked = await context.ask(questionTokens);
    const drawn = await context.ask(tokenizer.encode(GENERAL, { control: false }));
    return bestPassages(salience(context, asked, drawn), context.text, count, context.all ? 0 : SHARE);
  },
});

/** A document token of which some head still has a slot. */
export interface Salient {
  /** Index in the prompt. */
  source: number;
  /**
   * Sum over heads of the square of the attention mass that the question lays on it beyond the general one: heads that are sure count, those that look
   * everywhere do not.
   */
  weight: number;
}

/** Every document token that some head still has, ascending. */
function salience(context: RecallContext, asked: Scores, drawn: Scores): Salient[] {
  const { heads, firstSource, endSource } = context;
  const weights = new Float64Array(endSource - firstSource), isKnown = new Uint8Array(weights.length);
  for (let head = 0; head < heads; head++) {
    const sources = context.sources(head), mine = asked[head]!, any = drawn[head]!;
    for (let slot = 0; slot < sources.length; slot++) {
      const at = sources[slot]! - firstSource;
      if (at < 0 || at >= weights.length) continue;
      isKnown[at] = 1;
      weights[at]! += Math.max(0, mine[slot]! - any[slot]!) ** 2;
    }
  }
  const known: Salient[] = [];
  isKnown.forEach((is, at) => is && known.push({ source: firstSource + at, weight: weights[at]! }));
  return known;
}

/** The stretches of `WIDTH` tokens with the most weight, up to `count` that do not overlap, widened by `MARGIN`; the best one last. */
export function bestPassages(known: Salient[], text: DocumentText, count: number, share = SHARE): Passage[] {
  const stretches: { from: number; to: number; weight: number }[] = [];
  for (let end = 0, from = 0, weight = 0; end < known.length; end++) {
    weight += known[end]!.weight;
    while (known[end]!.source - known[from]!.source >= WIDTH) weight -= known[from++]!.weight;
    stretches.push({ from: known[from]!.source, to: known[end]!.source, weight });
  }
  stretches.sort((a, b) => b.weight - a.weight || a.from - b.from);
  const taken: typeof stretches = [];
  for (const stretch of stretches) {
    if (taken.length === count || stretch.weight < share * stretches[0]!.weight || stretch.weight === 0) break;
    if (taken.every(({ from, to }) => stretch.to < from || stretch.from > to)) taken.push(stretch);
  }
  const first = known[0]?.source ?? 0;
  for (const mine of taken) {
    const left = taken.reduce((most, { to }) => to < mine.from ? Math.max(most, to + 1) : most, first);
    const right = taken.reduce((least, { from }) => from > mine.to ? Math.min(least, from - 1) : least, Infinity);
    mine.from = Math.max(left, mine.from - MARGIN);
    mine.to = Math.min(right, mine.to + MARGIN);
  }
  return taken.map(({ from, to }) => ({ pieces: text.between(from, to) })).reverse();
}
