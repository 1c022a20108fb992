/**
 * Passages of documents that have the words of a question, by Okapi BM25 (Robertson and Zaragoza, 2009), without an index: the documents are read twice, first
 * to learn how rare each word is, then to weigh every stretch of text. Memory is bounded by what is asked and not by the documents.
 */
import { throwIfAborted } from "../errors.ts";
import type { RecalledPassage } from "../record.ts";
import type { Source } from "../text/document.ts";
import { type Block, blocks } from "./blocks.ts";
import { terms } from "./terms.ts";

/** Words that are looked for. */
export interface Wanted {
  text: string;
  /** What its words count, beside others'. */
  weight: number;
}

/** Blocks of a passage: about a hundred tokens. */
const WIDTH = 5;
/** How soon a word that is repeated counts no more. All stretches have the same length, so BM25's other constant has nothing to do. */
const K1 = 1.2;
/** What a word in a stretch's middle counts more than one at its edge: enough to decide between equals. */
const CENTRED = 0.01;
/** Best stretches that are remembered; those of one place overlap. */
const REMEMBERED = 64;

/** Blocks that follow each other. */
interface Stretch {
  blocks: Block[];
  /** Number of its last block in all documents. */
  end: number;
  weight: number;
}

/**
 * @param sources all `repeatable`
 * @param count passages at most, which do not overlap and have one of the words at least
 * @returns the best one first
 * @throws {InputError} for a document that cannot be read
 * @throws {InterruptedError} when the signal aborts
 */
export async function search(
  sources: readonly Source[],
  wanted: readonly Wanted[],
  count: number,
  signal?: AbortSignal,
): Promise<RecalledPassage[]> {
  const weights = new Map<string, number>();
  for (const { text, weight } of wanted) {
    for (const term of terms(text)) weights.set(term, Math.max(weights.get(term) ?? 0, weight));
  }
  const indices = new Map([...weights.keys()].map((term, index) => [term, index]));
  const having = new Uint32Array(indices.size);
  let total = 0, bytes = 0;
  for await (const { text, at } of blocks(sources)) {
    if (total++ % 1024 === 0) throwIfAborted(signal);
    bytes = at;
    for (const index of countsIn(text, indices).keys()) having[index]!++;
  }
  const rarity = Float64Array.from(
    weights.values(),
    (weight, index) => weight * Math.log(1 + (total - having[index]! + 0.5) / (having[index]! + 0.5)),
  );

  const best: Stretch[] = [];
  let recent: { block: Block; counts: Map<number, number> }[] = [], end = 0;
  for await (const block of blocks(sources)) {
    if (end % 1024 === 0) throwIfAborted(signal);
    if (recent[0]?.block.document !== block.document) recent = [];
    recent.push({ block, counts: countsIn(block.text, indices) });
    if (recent.length > WIDTH) recent.shift();
    const weight = weigh(recent.map(({ counts }) => counts), rarity);
    remember(best, { blocks: recent.map(({ block }) => block), end: end++, weight });
  }
  const taken: Stretch[] = [];
  for (const one of best) {
    if (taken.length === count) break;
    if (taken.every((other) => Math.abs(one.end - other.end) >= WIDTH)) taken.push(one);
  }
  return taken.map(({ blocks }) => ({
    at: bytes === 0 ? 0 : blocks[0]!.at / bytes,
    ...blocks[blocks.length >> 1]!.place,
    text: blocks.map(({ text }) => text).join("").replace(/\s+/g, " ").trim(),
  }));
}

/** How often each wanted term stands in a text. */
function countsIn(text: string, indices: ReadonlyMap<string, number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const term of terms(text)) {
    const index = indices.get(term);
    if (index !== undefined) counts.set(index, (counts.get(index) ?? 0) + 1);
  }
  return counts;
}

/** BM25, and of stretches that have the same words the one with them in its middle: what stands around them is wanted on both sides. */
function weigh(counts: readonly ReadonlyMap<number, number>[], rarity: Float64Array): number {
  const sums = new Map<number, number>();
  let weight = 0;
  counts.forEach((block, at) => {
    const inMiddle = Math.min(at + 1, WIDTH - at) / WIDTH;
    for (const [index, count] of block) {
      sums.set(index, (sums.get(index) ?? 0) + count);
      weight += CENTRED * inMiddle * rarity[index]!;
    }
  });
  for (const [index, count] of sums) weight += rarity[index]! * count * (K1 + 1) / (count + K1);
  return weight;
}

/** Keeps the best, in order; of equals the first. */
function remember(best: Stretch[], one: Stretch): void {
  if (one.weight === 0 || best.length === REMEMBERED && one.weight <= best.at(-1)!.weight) return;
  let at = best.length;
  while (at > 0 && best[at - 1]!.weight < one.weight) at--;
  best.splice(at, 0, one);
  if (best.length > REMEMBERED) best.pop();
}
