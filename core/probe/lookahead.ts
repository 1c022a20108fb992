/**
 * The answer's own first words ask: after every chunk up to eight pseudo tokens are written greedily behind the start of the assistant's turn (and the
 * question, where it is known), and their queries score the cache (Lookahead Q-Cache, arXiv 2505.20334). They are forgotten again.
 *
 * Differs: the paper writes them once, after the whole prompt, over a copy of the cache that SnapKV has thinned out; here they are written after every
 * chunk over the live cache, which earlier compactions have thinned out already, so no copy is needed. Which slots they score is the same either way.
 * Pooling is the aggregate's: `mean-maxpool` is the paper's.
 */
import type { KvCache } from "../cache.ts";
import { likeliest } from "../decode/write.ts";
import { type Evidence, type Probe, type ProbeContext, SINKS } from "../policy.ts";
import { merged, onSlots } from "./evidence.ts";

/** Pseudo tokens that ask. */
export const LOOKAHEAD = 8;

export const lookahead = (): Probe => ({
  name: "lookahead",
  windowRows: 0,
  needs: { mass: true, questionHelps: true },
  // narrowed to everything: what is written on top is forgotten
  look: (context) => context.cache.narrowed(0, SINKS, () => write(context)),
});

async function write(context: ProbeContext): Promise<Evidence> {
  const { engine, cache, tokenizer, questionTokens, answerTokens } = context;
  const slots = cache.live.slice(), room = Math.min(context.positionsLeft, freeRows(cache));
  const before = [...questionTokens, ...answerTokens];
  const count = Math.max(1, Math.min(LOOKAHEAD, room - before.length));
  let source = context.tokensRead, position = context.nextPosition;
  const forward = async (tokens: number[], scoreRows: number) => {
    const result = await engine.pass(cache, { tokens, firstPosition: position, scoreRows, logitsRows: 1 });
    cache.append(result.keys, result.values, tokens.length, source, position);
    source += tokens.length;
    position += tokens.length;
    return result;
  };
  const parts: Evidence[] = [];
  let { logits } = await forward(before.slice(-Math.max(1, room - count)), 0);
  while (parts.length < count) {
    const token = likeliest(logits!);
    if (parts.length > 0 && tokenizer.stopIds.has(token)) break;
    const step = await forward([token], 1);
    parts.push(onSlots(step.mass!, slots, 1));
    logits = step.logits;
  }
  return merged(parts);
}

/** Rows that every head still has room for. */
const freeRows = (cache: KvCache): number =>
  cache.room.reduce((least, room, head) => Math.min(least, room - cache.live[head]!), Infinity);
