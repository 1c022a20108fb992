/** Where an answer came from: what memory attends to, and what a search of the documents finds. */
import type { Memory } from "./memory.ts";
import type { EngineModel, LoadedModel } from "./model.ts";
import { needs } from "./policy.ts";
import type { DocumentPlace } from "./reading.ts";
import type { RecalledPassage } from "./record.ts";
import { byLikelihood } from "./search/likelihood.ts";
import { search } from "./search/search.ts";
import { terms } from "./search/terms.ts";
import { attended } from "./tail.ts";
import type { Source } from "./text/document.ts";

/** Passages that are cited at most. */
export const CITED = 3;
/** Passages that the documents' words name for it. */
const NAMED = 6;
/** What a word of the answer counts in a search, beside one of the question: the answer may be wrong. */
const ANSWER_WEIGHT = 0.25;
/** Words that two passages share at least when they are the same one: the share of the smaller one's. */
const SAME = 0.6;

export interface Answered {
  instruction: string;
  answer: string;
}

/**
 * Passages that a question and its answer come from, the best one first. Two ways name them: attention in memory, asked with both, as the answer's words stand where
 * they came from; and a search for their words in the documents that can be read again. Memory knows what it looked at and nothing of what it has lost; words find
 * that, and no other words for it. Of all that are named, those are taken after which the question is likeliest, on a device whose passes can be asked for one by
 * one; elsewhere the best of both in turns.
 * @param document its place in the prompt
 * @param sources what was read; those that cannot be read again are left out
 * @throws {InputError} when a document is no longer there
 * @throws {InterruptedError} when the signal aborts
 */
export async function citations(
  memory: Pick<Memory, "reader" | "policy" | "places" | "model">,
  answered: Answered,
  document: DocumentPlace,
  sources: readonly Source[] = [],
  signal?: AbortSignal,
): Promise<RecalledPassage[]> {
  const { reader, policy, places, model } = memory, { instruction, answer } = answered;
  const asking = `\n\n${instruction}\n\n${answer}`;
  const inMemory = needs(policy, "text") ? await attended(reader, model.tokenizer, asking, document, places) : [];
  return await best(memory, answered, inMemory, sources, signal);
}

/** The same of documents alone, whose memory is gone. */
export const citedDocuments = (
  memory: Pick<Memory, "policy" | "model">,
  answered: Answered,
  sources: readonly Source[],
  signal?: AbortSignal,
): Promise<RecalledPassage[]> => best(memory, answered, [], sources, signal);

async function best(
  { model, policy }: Pick<Memory, "policy" | "model">,
  { instruction, answer }: Answered,
  inMemory: RecalledPassage[],
  sources: readonly Source[],
  signal: AbortSignal | undefined,
): Promise<RecalledPassage[]> {
  const again = sources.filter(({ repeatable }) => repeatable);
  if (again.length === 0) return inMemory;
  const wanted = [{ text: instruction, weight: 1 }, { text: answer, weight: ANSWER_WEIGHT }];
  const named = fuse(await search(again, wanted, NAMED, signal), inMemory);
  const { tokenizer, engine } = model as LoadedModel & Partial<EngineModel>;
  const ordered = engine ? await byLikelihood({ engine, tokenizer, policy }, instruction, named, signal) : named;
  return ordered.slice(0, CITED);
}

/**
 * Both lists as one: the best of both in turns, and first what both have (reciprocal rank fusion, Cormack et al. 2009, with a constant of 0), which is taken from the
 * first.
 */
export function fuse(first: readonly RecalledPassage[], second: readonly RecalledPassage[]): RecalledPassage[] {
  const ranked = first.map((passage, rank) => ({ passage, weight: 1 / (1 + rank) }));
  second.forEach((passage, rank) => {
    const weight = 1 / (1 + rank), same = ranked.slice(0, first.length).find((one) => isSame(one.passage, passage));
    if (same) same.weight += weight;
    else ranked.push({ passage, weight });
  });
  return ranked.sort((a, b) => b.weight - a.weight).map(({ passage }) => passage);
}

function isSame(one: RecalledPassage, other: RecalledPassage): boolean {
  if (one.source !== other.source) return false;
  const words = [one, other].map(({ text }) => new Set(terms(text))).sort((a, b) => a.size - b.size);
  const [smaller, larger] = words as [Set<string>, Set<string>];
  let shared = 0;
  for (const word of smaller) if (larger.has(word)) shared++;
  return shared >= SAME * smaller.size;
}
