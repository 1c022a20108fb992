/**
 * What is known of a document's tokens while it is read: the running mean of their embeddings, the last one, and the most salient ones; as large however
 * long the document is.
 */
import type { EmbeddingTable } from "../pack/embeddings.ts";
import { mostSalient, type Occurrence, occurrences, type Salience } from "../pack/salience.ts";

/** Salient tokens that stay known: more than rows copy, as what comes later changes their order. */
const CANDIDATES = 64;

export class DocumentMean {
  /** Of all embeddings, [hidden]. */
  readonly sum: Float64Array;
  private count = 0;
  /** Embedding of the newest token, [hidden]. */
  readonly last: Float32Array;

  /** The most salient first. */
  private candidates: Occurrence[] = [];

  /** @param before tokens that come before the document, such as the chat template's @param salience what says which tokens are salient, if any is asked for */
  constructor(
    private readonly table: EmbeddingTable,
    private before = 0,
    private readonly salience: Salience | null = null,
  ) {
    this.sum = new Float64Array(table.hidden);
    this.last = new Float32Array(table.hidden);
  }

  /** Tokens that were read, in order. */
  add(tokens: readonly number[]): void {
    const own = tokens.slice(Math.min(this.before, tokens.length));
    this.before -= tokens.length - own.length;
    if (own.length === 0) return;
    this.table.addTo(this.sum, own);
    this.count += own.length;
    this.last.set(this.table.of(own.at(-1)!));
    if (!this.salience) return;
    const found = occurrences(own, this.count - own.length);
    for (const { token, first, last } of this.candidates) {
      const again = found.get(token);
      found.set(token, { token, first, last: again?.last ?? last });
    }
    this.candidates = this.mostOf(found.values(), CANDIDATES);
  }

  /** What is known beside the sum and the last embedding. */
  get facts(): { count: number; before: number; salient: Occurrence[] } {
    return { count: this.count, before: this.before, salient: this.candidates };
  }

  restore({ count, before, salient }: { count: number; before: number; salient: Occurrence[] }): void {
    Object.assign(this, { count, before, candidates: salient });
  }

  /** The most salient tokens so far, in the order of their last occurrence. */
  salient(count: number): number[] {
    return tokensOf(this.candidates.slice(0, count));
  }

  /** Those of tokens that stand behind the document. */
  salientBehind(tokens: readonly number[], count: number): number[] {
    const found = occurrences(tokens, this.count).values();
    return tokensOf(this.mostOf(found, count, this.count + tokens.length));
  }

  private mostOf(found: Iterable<Occurrence>, count: number, length = this.count): Occurrence[] {
    return this.salience ? mostSalient(this.salience, this.table, found, { length, mean: this.mean(), count }) : [];
  }

  /** Of all tokens so far, [hidden]; zeros before the first. */
  mean(): Float32Array {
    return Float32Array.from(this.sum, (value) => value / Math.max(1, this.count));
  }
}

/** In the order of their last occurrence. */
const tokensOf = (found: Occurrence[]): number[] => found.sort((a, b) => a.last - b.last).map(({ token }) => token);

/** Bytes of the state between chunks: sums, an embedding, and of every candidate the token and two places. */
export const documentMeanBytes = (hidden: number): number => hidden * (8 + 4) + CANDIDATES * 3 * 4;
