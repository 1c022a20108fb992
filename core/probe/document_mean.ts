/** What is known of a document's embeddings while it is read: their running mean and the last one, as large however long the document is. */
import type { EmbeddingTable } from "../pack/embeddings.ts";

export class DocumentMean {
  private readonly sum: Float64Array;
  private count = 0;
  /** Embedding of the newest token, [hidden]. */
  readonly last: Float32Array;

  /** @param before tokens that come before the document, such as the chat template's */
  constructor(private readonly table: EmbeddingTable, private before = 0) {
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
  }

  /** Of all tokens so far, [hidden]; zeros before the first. */
  mean(): Float32Array {
    return Float32Array.from(this.sum, (value) => value / Math.max(1, this.count));
  }
}

/** Bytes of the state between chunks. */
export const documentMeanBytes = (hidden: number): number => hidden * (8 + 4);
