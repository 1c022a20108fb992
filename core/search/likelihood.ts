/**
 * Passages by how likely a question is after each of them: a reader's own way to tell what answers a question from what has only its words. Query likelihood, by a
 * language model that was not trained for it (Sachan et al. 2022, arXiv 2204.07496; there T5 with an instruction, here the model that reads, and "Question:").
 */
import { KvCache } from "../cache.ts";
import { negativeLogLikelihood } from "../decode/log_probabilities.ts";
import type { Engine } from "../engine/engine.ts";
import { cacheShape } from "../engine/layers.ts";
import { throwIfAborted } from "../errors.ts";
import { latentRankFor, type Policy } from "../policy.ts";
import type { RecalledPassage } from "../record.ts";
import type { Tokenizer } from "../text/tokenizer.ts";

export interface Asker {
  engine: Engine;
  tokenizer: Tokenizer;
  /** That the engine was opened for. */
  policy: Policy;
}

/**
 * The same passages, the likeliest first; of equals in their order. One pass of a passage's length for each.
 * @throws {InterruptedError} when the signal aborts
 */
export async function byLikelihood(
  { engine, tokenizer, policy }: Asker,
  question: string,
  passages: readonly RecalledPassage[],
  signal?: AbortSignal,
): Promise<RecalledPassage[]> {
  const { config, features, packs } = engine, asked = tokenizer.encode(` ${question}`, { control: false });
  if (asked.length === 0) return [...passages];
  const none = new KvCache(cacheShape(config), 0, [], latentRankFor(policy, packs), features.kvType);
  const weighed: { passage: RecalledPassage; surprise: number }[] = [];
  for (const passage of passages) {
    throwIfAborted(signal);
    const before = tokenizer.encode(`${passage.text}\n\nQuestion:`, { control: false });
    const tokens = [...before, ...asked.slice(0, -1)];
    const { logits } = await engine.pass(none, { tokens, firstPosition: 0, logitsRows: asked.length });
    weighed.push({ passage, surprise: negativeLogLikelihood(logits!, asked, config.vocab) });
  }
  return weighed.sort((a, b) => a.surprise - b.surprise).map(({ passage }) => passage);
}
