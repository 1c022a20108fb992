/** A model's token embeddings, row by row: what learned rows are made of. */
import { dequantise, FORMATS } from "../engine/dequantise.ts";
import type { ModelFile, WeightTensor } from "../engine/weights.ts";

/** Holds the matrix as it is stored, a few numbers at a time dequantised: it is the largest of a small model. */
export class EmbeddingTable {
  private readonly rowBytes: number;
  private readonly row: Float32Array;

  /** @param tensor [tokens, hidden] */
  constructor(private readonly tensor: Pick<WeightTensor, "type" | "bytes">, readonly hidden: number) {
    const { blockElements, blockBytes } = FORMATS[tensor.type];
    this.rowBytes = hidden / blockElements * blockBytes;
    this.row = new Float32Array(hidden);
  }

  static async open(model: Pick<ModelFile, "config" | "tensor">): Promise<EmbeddingTable> {
    return new EmbeddingTable(await model.tensor("embed_tokens"), model.config.hidden);
  }

  /** [hidden] of a token; the same array again for every token. */
  of(token: number): Float32Array {
    const { type, bytes } = this.tensor, from = token * this.rowBytes;
    return dequantise(type, bytes.subarray(from, from + this.rowBytes), this.row);
  }

  /** Adds the embeddings of tokens to `sum`, [hidden]. */
  addTo(sum: Float64Array, tokens: ArrayLike<number>): void {
    for (let i = 0; i < tokens.length; i++) {
      const row = this.of(tokens[i]!);
      for (let d = 0; d < row.length; d++) sum[d]! += row[d]!;
    }
  }
}
