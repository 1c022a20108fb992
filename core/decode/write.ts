/** Greedy decoding: the same answer every time on the same device. */
import { ModelError } from "../errors.ts";
import type { Reading } from "../reading.ts";
import { withoutThinking } from "../text/thinking.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

/** Index of the largest logit, the first of equals. */
export function argmax(logits: Float32Array): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/**
 * The same of what a model computed, on which an answer is built.
 * @throws {ModelError} where a logit is no number: weights may be finite, and what is computed with them too large
 */
export function likeliest(logits: Float32Array): number {
  let poison = 0;
  for (let i = 0; i < logits.length; i++) poison += logits[i]! - logits[i]!;
  if (poison === 0) return argmax(logits);
  const bad = logits.find((logit) => !Number.isFinite(logit));
  throw new ModelError(
    `Cannot use this model: it computes ${bad} where numbers are needed, so its weights are damaged; fetch it again`,
  );
}

export interface Decoded {
  /** Text that became certain with this token; may be empty, and is while the model thinks. */
  text: string;
  /** Tokens so far, the one that ended the answer included. */
  tokens: number;
  /** Set on the last one. */
  finish?: "stop" | "length";
}

/**
 * Forwards the tail of a prompt and writes up to `maxTokens`, one event per token. Ends early where the last tokens say the same thing for the third
 * time: a small model that decodes greedily would never come out of that again.
 * @param ignoreStops writes `maxTokens` whatever they are
 */
export async function* decode(
  reader: Reading,
  tokenizer: Tokenizer,
  tail: number[],
  maxTokens: number,
  ignoreStops = false,
): AsyncGenerator<Decoded> {
  const stream = withoutThinking(tokenizer.textStream()), written: number[] = [];
  let token = await reader.likeliestAfter(tail);
  while (true) {
    written.push(token);
    if (!ignoreStops && (tokenizer.stopIds.has(token) || loops(written))) {
      yield { text: stream.finish(), tokens: written.length, finish: "stop" };
      return;
    }
    const text = stream.push(token);
    if (written.length === maxTokens) {
      yield { text: text + stream.finish(), tokens: maxTokens, finish: "length" };
      return;
    }
    yield { text, tokens: written.length };
    token = await reader.likeliestNext(token);
  }
}

/** Shorter repetitions are left alone: 1000000 is seven tokens, and a row of a table repeats its bars. */
const LOOP_TOKENS = 24;

/** Whether the end of `tokens` is one piece of 1 to 24 tokens over and over: three times at least, and 24 tokens at least. */
export function loops(tokens: number[]): boolean {
  for (let period = 1; period <= LOOP_TOKENS; period++) {
    const from = tokens.length - Math.max(LOOP_TOKENS, 3 * period);
    if (from < 0) return false;
    let equal = true;
    for (let i = tokens.length - 1; equal && i >= from + period; i--) equal = tokens[i] === tokens[i - period];
    if (equal) return true;
  }
  return false;
}
