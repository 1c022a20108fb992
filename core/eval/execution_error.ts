/** How far the weights that are executed, and activations in 8 bits, lead from the model that the file holds: both read one text, and every row of logits is compared. */
import { KvCache } from "../cache.ts";
import type { Engine } from "../engine/engine.ts";
import { cacheShape } from "../engine/layers.ts";
import { negativeLogLikelihood } from "../decode/log_probabilities.ts";
import { klDivergence, topOneAgreement } from "./fidelity.ts";
import { mean, standardError, wilson } from "./statistics.ts";

/** Rows of a pass: more than decomposed attention takes, so that it is a chunk's. */
const CHUNK = 128;

export interface ExecutionError {
  /** Rows compared: one per token of the text. */
  tokens: number;
  /** KL(exact ‖ executed) per token in nats: its mean, that one's standard error, and the largest. */
  kl: { mean: number; error: number | null; most: number };
  /** Share of tokens after which both choose the same next one, with its 95 % Wilson interval. */
  topOne: { share: number; low: number; high: number };
  /** exp of the mean −ln p of the text's tokens. */
  perplexity: { exact: number; executed: number };
}

/** Logits after each of the tokens, [ids.length, vocab]. @param onRows called before every pass with the rows done */
export async function allLogits(
  engine: Engine,
  ids: readonly number[],
  onRows: (rows: number) => Promise<void> | void = () => {},
): Promise<Float32Array> {
  const { vocab } = engine.config, logits = new Float32Array(ids.length * vocab);
  const cache = new KvCache(cacheShape(engine.config), ids.length);
  for (let from = 0; from < ids.length; from += CHUNK) {
    await onRows(from);
    const tokens = ids.slice(from, from + CHUNK);
    const pass = await engine.pass(cache, { tokens, firstPosition: from, logitsRows: tokens.length });
    cache.append(pass.keys, pass.values, tokens.length, from, from);
    logits.set(pass.logits!, from * vocab);
  }
  return logits;
}

/** @param exact @param executed logits [ids.length, vocab] */
export function executionError(
  exact: Float32Array,
  executed: Float32Array,
  ids: readonly number[],
  vocab: number,
): ExecutionError {
  const row = (logits: Float32Array, i: number) => logits.subarray(i * vocab, (i + 1) * vocab);
  const kls = ids.map((_, i) => klDivergence(row(exact, i), row(executed, i), vocab));
  const share = topOneAgreement(exact, executed, vocab), next = ids.slice(1);
  const perplexity = (logits: Float32Array) =>
    Math.exp(negativeLogLikelihood(logits.subarray(0, next.length * vocab), next, vocab));
  return {
    tokens: ids.length,
    kl: { mean: mean(kls), error: standardError(kls), most: Math.max(...kls) },
    topOne: { share, ...wilson(Math.round(share * ids.length), ids.length) },
    perplexity: { exact: perplexity(exact), executed: perplexity(executed) },
  };
}
