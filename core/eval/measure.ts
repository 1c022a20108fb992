/**
 * Measures one sample: the full cache first, once, then any number of policies against it. A policy is scored by what it answers, and compared with the
 * full cache where both must go on from the same words: the first tokens of the full cache's greedy answer, teacher-forced in one pass over what the
 * policy kept of the prompt. A decode policy's evictions come after these tokens and show in the answer only.
 */
import { answer } from "../answer.ts";
import type { EngineModel } from "../model.ts";
import { parsePolicy } from "../policies.ts";
import { leastBudget, needs } from "../policy.ts";
import { hitRate, klDivergence, topOneAgreement } from "./fidelity.ts";
import { score } from "./metrics.ts";
import { FULL, read, type Reading, type ReadingSettings } from "./reading.ts";
import { type Cell, type EvalResult, requestOf } from "./result.ts";
import type { Sample } from "./task.ts";
import { eachTime } from "../text/document.ts";
import { withoutThinking } from "../text/thinking.ts";

/** Tokens of the full cache's answer that fidelity is measured over (`design.md` section 7). */
export const FORCED_TOKENS = 32;

/** A spelling whose graph gives mean attention mass and nothing else: the oracle needs it. */
export const ORACLE_POLICY = "probe=window,aggregate=mean";

/** What is measured, without what names it (`run.ts` adds that). */
export type Measured = Pick<
  EvalResult,
  "contextTokens" | "budgetSlots" | "score" | "answer" | "known" | "kl" | "top1" | "hitRate" | "costs"
>;

/** The full cache's reading of a sample, which policies are compared with. */
export interface Reference {
  measured: Measured;
  /** First tokens of the answer. */
  tokens: number[];
  /** [tokens, vocab] */
  logits: Float32Array;
  /** Per head [tokens of the prompt's head and the document]: mean attention of these tokens' rows. */
  mass: Float32Array[];
}

/** Opens the model with the graph that a policy needs; the same one for policies that need the same. */
export type ModelFor = (policy: string) => Promise<EngineModel>;

/** Reads and answers with everything kept. */
export async function measureFull(models: ModelFor, sample: Sample, settings: ReadingSettings): Promise<Reference> {
  const model = await models(ORACLE_POLICY);
  const reading = await read(model, sample, FULL, null, false, settings), started = performance.now();
  // a right answer may be complete sooner than the tokens that are to be compared
  let written = 0;
  const enough = (text: string) => ++written >= FORCED_TOKENS && complete(sample, text);
  const { text, tokens: all } = await reading.rehearse(Math.max(sample.maxNewTokens, FORCED_TOKENS), enough);
  const wholeMs = reading.untilAnswerMs + performance.now() - started;
  const tokens = all.slice(0, FORCED_TOKENS);
  const forced = await reading.forced(tokens, true);
  const answer = withinLimit(model, all, text, sample.maxNewTokens);
  return {
    measured: {
      contextTokens: contextTokens(model, sample),
      budgetSlots: reading.budgetSlots,
      score: score(answer, sample),
      answer,
      known: sample.guessable ? await scoreWithoutDocument(model, sample, settings) : null,
      kl: 0,
      top1: 1,
      hitRate: 1,
      costs: { ...reading.costs, wholeMs },
    },
    tokens,
    logits: forced.logits!,
    mass: forced.mass!.mean!.map((row) => row.slice(0, reading.promptTokens)),
  };
}

/** @throws {UsageError} when the policy needs the question and the protocol does not tell it (`asksTheQuestion`) */
export async function measurePolicy(
  models: ModelFor,
  sample: Sample,
  reference: Reference,
  cell: Cell,
  settings: ReadingSettings,
): Promise<Measured> {
  if (cell.strategy !== "stream") return await measureStrategy(models, sample, reference, cell, settings);
  const model = await models(cell.policy), { vocab } = model.config;
  const request = requestOf(cell.budget, reference.measured.contextTokens, leastBudget(parsePolicy(cell.policy)));
  const reading: Reading = await read(model, sample, cell.policy, request, cell.protocol === "aware", settings);
  const { logits } = await reading.forced(reference.tokens, false), started = performance.now();
  const { text } = await reading.write(sample.maxNewTokens, (text) => complete(sample, text));
  return {
    contextTokens: reference.measured.contextTokens,
    budgetSlots: reading.budgetSlots,
    score: score(text, sample),
    answer: text,
    known: null,
    kl: klDivergence(reference.logits, logits!, vocab),
    top1: topOneAgreement(reference.logits, logits!, vocab),
    hitRate: hitRate(reference.mass, reading.kept, reading.budgetSlots),
    costs: { ...reading.costs, wholeMs: reading.untilAnswerMs + performance.now() - started },
  };
}

/** A strategy that answers from more than one memory is measured by what it answers, as `ask` does it. */
async function measureStrategy(
  models: ModelFor,
  sample: Sample,
  reference: Reference,
  { policy, strategy, budget, protocol }: Cell,
  { chunkTokens, positions, availableBytes, collectGarbage, signal, breathe }: ReadingSettings,
): Promise<Measured> {
  const model = await models(policy), { contextTokens } = reference.measured, opening = sample.answerPrefix;
  const document = [new TextEncoder().encode(sample.context)], started = performance.now();
  const events = answer(model, {
    command: "ask",
    strategy,
    sources: [{
      name: "sample",
      repeatable: true,
      chunks: eachTime(async function* () {
        yield* document;
      }),
    }],
    instruction: sample.question,
    questionKnown: protocol === "aware",
    opening,
    maxTokens: sample.maxNewTokens,
    policy,
    budget: requestOf(budget, contextTokens, leastBudget(parsePolicy(policy))),
    chunkTokens,
    positions,
    availableBytes,
    strict: false,
    collectGarbage,
    peakRssBytes: () => 0,
    ...signal ? { signal } : {},
  });
  for await (const event of events) {
    await breathe?.();
    if (event.type !== "result") continue;
    const { record: { answer, kv, timing } } = event, text = answer.slice(opening.trim().length);
    return {
      contextTokens,
      budgetSlots: kv.budgetSlots,
      score: score(text, sample),
      answer: text,
      known: null,
      kl: null,
      top1: null,
      hitRate: null,
      costs: {
        chunks: Math.ceil(contextTokens / chunkTokens),
        compactions: kv.compactions,
        prefillMs: timing.prefillMs,
        policyMs: timing.policyMs,
        kvBytes: kv.bytes,
        peakLiveSlots: kv.peakLiveSlots,
        wholeMs: performance.now() - started,
      },
    };
  }
  throw new Error("the answer ended without a record");
}

/** Whether a policy asks with the question: such a one cannot be measured under `agnostic`. */
export const asksTheQuestion = (policy: string): boolean => needs(parsePolicy(policy), "question");

/** Whether a policy reads otherwise where the question is told: else both protocols give the same. */
export const hearsTheQuestion = (policy: string): boolean =>
  asksTheQuestion(policy) || needs(parsePolicy(policy), "questionHelps");

const contextTokens = (model: EngineModel, sample: Sample) =>
  model.tokenizer.encode(sample.context, { control: false }).length;

/** Metrics that more text cannot make worse or better any more: the answer may end here. */
function complete(sample: Sample, text: string): boolean {
  return (sample.metric === "all" || sample.metric === "part") && score(text, sample) === 1;
}

/** The answer as it would stand after `count` tokens: the full cache may have had to write more than the task allows. */
function withinLimit(model: EngineModel, tokens: number[], text: string, count: number): string {
  if (tokens.length <= count) return text;
  const stream = withoutThinking(model.tokenizer.textStream());
  return tokens.slice(0, count).map((token) => stream.push(token)).join("") + stream.finish();
}

/** What the model knows beforehand, or guesses from the question. */
async function scoreWithoutDocument(model: EngineModel, sample: Sample, settings: ReadingSettings): Promise<number> {
  const reading = await read(model, { ...sample, context: "" }, FULL, null, false, settings);
  const { text } = await reading.write(sample.maxNewTokens, (text) => complete(sample, text));
  return score(text, sample);
}
