/**
 * One sample's reading, as `ask` does it: chat template, document in chunks under a policy, the question behind it. The only file of `eval` that drives a
 * `Reader`. Between reading and answering it can look at what the cache would say: passes that append nothing.
 */
import { type BudgetRequest, resolveBudget } from "../budget.ts";
import { likeliest, loops } from "../decode/write.ts";
import type { PassResult } from "../engine/engine.ts";
import { InterruptedError } from "../errors.ts";
import type { EngineModel } from "../model.ts";
import { parsePolicy } from "../policies.ts";
import { Reader } from "../reader.ts";
import type { Positions } from "../record.ts";
import { renderPrompt } from "../text/prompt.ts";
import { withoutThinking } from "../text/thinking.ts";
import { answerTokens, plainTail, questionTokens, recalledTail } from "../tail.ts";
import type { Sample } from "./task.ts";

/** Where and how readings run. */
export interface ReadingSettings {
  chunkTokens: number;
  positions: "auto" | Positions;
  /** Most bytes that the cache may take. */
  availableBytes: number;
  collectGarbage?: () => void;
  /** Lets the event loop turn, so that Ctrl-C is seen. */
  breathe?: () => Promise<void>;
  signal?: AbortSignal;
}

/** What a reading cost. */
export interface Costs {
  chunks: number;
  compactions: number;
  prefillMs: number;
  /** All that `full` would not do, part of `prefillMs`. */
  policyMs: number;
  kvBytes: number;
  peakLiveSlots: number;
  /** Until the answer's end. */
  wholeMs: number;
}

/** What reading cost; what answering did, is not known yet. */
type ReadingCosts = Omit<Costs, "wholeMs">;

export interface Reading {
  /** Slots per KV head that the policy kept at most. */
  budgetSlots: number;
  costs: ReadingCosts;
  /** From the first token to where the question was forwarded. */
  untilAnswerMs: number;
  /** Per head the source tokens of the slots that stayed. */
  kept: Int32Array[];
  /** Tokens of the prompt's head and the document. */
  promptTokens: number;
  /**
   * One pass over the prompt's last token and all but the last of `tokens`: its rows are those that would write `tokens`. Appends nothing.
   * @returns logits [tokens.length, vocab], and attention mass where `scored`
   */
  forced(tokens: readonly number[], scored: boolean): Promise<PassResult>;
  /** Writes greedily; only once, as what is written stays. */
  write(count: number, enough: (text: string) => boolean): Promise<Written>;
  /** Writes, and forgets it again: the cache is as it was before. For policies that evict nothing while writing. */
  rehearse(count: number, enough: (text: string) => boolean): Promise<Written>;
}

export interface Written {
  text: string;
  /** The token that ended the answer included. */
  tokens: number[];
}

/** A cache that holds everything, at the positions that the tokens have. */
export const FULL = "full";

/**
 * @param request budget of the cache; null for `full`, which takes what it needs
 * @param aware the policy knows the question while it reads
 * @throws {BudgetError} when the budget is too small or does not fit in memory
 * @throws {InterruptedError} when the signal aborts
 */
export async function read(
  model: EngineModel,
  sample: Pick<Sample, "context" | "question" | "answerPrefix" | "maxNewTokens">,
  spec: string,
  request: BudgetRequest,
  aware: boolean,
  settings: ReadingSettings,
): Promise<Reading> {
  const { tokenizer, engine, config } = model, { chunkTokens } = settings;
  const policy = parsePolicy(spec), prompt = renderPrompt(tokenizer, { instruction: sample.question });
  const head = tokenizer.encode(prompt.head, { control: true });
  const document = [
    ...head,
    ...tokenizer.encode(sample.context, { control: false }),
  ];
  const asked = { instruction: sample.question, opening: sample.answerPrefix };
  const reserve = plainTail(tokenizer, asked).length + policy.recall.tokens + sample.maxNewTokens;
  const positions = request === null ? "original" : settings.positions;
  const budget = resolveBudget({
    config,
    policy,
    request: request ?? { slots: Math.max(document.length, 64) },
    chunkTokens,
    reserve,
    // the full cache is the reference also where it would pass the trained positions
    unboundedPositions: positions === "original",
    availableBytes: settings.availableBytes,
    documentTokens: document.length,
    packs: engine.packs,
    kvType: engine.features.kvType,
  });
  const reader = new Reader(engine, policy, {
    budget,
    chunkTokens,
    reserve,
    positions,
    questionTokens: aware ? questionTokens(tokenizer, sample.question) : [],
    answerTokens: answerTokens(tokenizer, asked),
    headTokens: head.length,
    tokenizer,
  });

  const started = performance.now();
  let chunks = 0;
  for (let from = 0; from < document.length; from += chunkTokens) {
    if (settings.signal?.aborted) throw new InterruptedError("Interrupted");
    await reader.read(document.slice(from, from + chunkTokens));
    if (++chunks % 2 === 0) settings.collectGarbage?.();
    await settings.breathe?.();
  }
  const { cache } = reader;
  const costs = {
    chunks,
    compactions: reader.compactions,
    prefillMs: performance.now() - started,
    policyMs: reader.policyMs,
    kvBytes: reader.kvBytes,
    peakLiveSlots: cache.peakLive,
  };
  const kept = Array.from(cache.live, (_, head) => cache.sources(head).slice());
  const { tokens: tail } = await recalledTail(reader, tokenizer, asked, head.length);
  const last = tail.at(-1)!;
  await reader.write(tail.slice(0, -1));
  return {
    budgetSlots: budget.slots,
    costs,
    untilAnswerMs: performance.now() - started,
    kept,
    promptTokens: document.length,
    forced: (tokens, scored) =>
      engine.pass(cache, {
        tokens: [last, ...tokens.slice(0, -1)],
        firstPosition: reader.nextPosition,
        logitsRows: tokens.length,
        scoreRows: scored ? tokens.length : 0,
      }),
    write,
    rehearse: (count, enough) => reader.aside(0, () => write(count, enough)),
  };

  /** As `decode` writes, with the tokens, and ended where the text is enough. */
  async function write(count: number, enough: (text: string) => boolean): Promise<Written> {
    const stream = withoutThinking(tokenizer.textStream()), tokens: number[] = [];
    let text = "", logits = await reader.write([last]);
    while (true) {
      const token = likeliest(logits);
      tokens.push(token);
      if (tokenizer.stopIds.has(token) || loops(tokens)) break;
      text += stream.push(token);
      if (tokens.length >= count || enough(text)) break;
      if (settings.signal?.aborted) throw new InterruptedError("Interrupted");
      await settings.breathe?.();
      logits = await reader.next(token);
    }
    return { text: text + stream.finish(), tokens };
  }
}
