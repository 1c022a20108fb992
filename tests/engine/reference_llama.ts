/** A Llama decoder in plain float64 loops over per-head caches: slow, short, and independent of the graph. */
import type { KvCache } from "../../core/cache.ts";
import { type Latent, latentRead } from "../../core/compensate/latent_state.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import type { ModelConfig, ModelFile } from "../../core/engine/weights.ts";

type Rows = Float64Array<ArrayBuffer>[];

export interface ReferenceResult {
  /** Per head: the new rows, keys rotated. */
  keys: Rows[];
  values: Rows[];
  /** [rows][vocab] */
  logits: Rows;
  /** Attention weights [head][query head of the group][row][slots of the head + new rows]. */
  weights: Float64Array[][][];
  /** Per layer: rows behind the first norm, and their queries before rotation. */
  normed: Rows[];
  rawQueries: Rows[];
}

export class ReferenceLlama {
  private constructor(readonly config: ModelConfig, private readonly weights: Map<string, Rows>) {}

  static async load(model: ModelFile): Promise<ReferenceLlama> {
    const weights = new Map<string, Rows>();
    for (const name of model.tensors.keys()) {
      const { type, bytes, shape } = await model.tensor(name), columns = shape.at(-1)!;
      const values = new Float64Array(dequantise(type, bytes));
      const rows = shape.length === 1 ? 1 : shape[0]!;
      weights.set(name, Array.from({ length: rows }, (_, row) => values.subarray(row * columns, (row + 1) * columns)));
    }
    return new ReferenceLlama(model.config, weights);
  }

  /**
   * S rows on top of what the cache holds; plain frequencies only (no `ropeScaling`).
   * @param tokens ids, or rows [hidden] that are no tokens
   * @param positions of every row, or that of the first
   * @param latent per layer, what reads the cache's latent memory
   */
  forward(
    cache: KvCache,
    tokens: (number | Float32Array)[],
    positions: number | number[],
    latent: Latent[] = [],
  ): ReferenceResult {
    const { layers, heads, kvHeads, headDim } = this.config, group = heads / kvHeads;
    const at = (row: number) => typeof positions === "number" ? positions + row : positions[row]!;
    let x = tokens.map((token) =>
      typeof token === "number" ? this.weights.get("embed_tokens")![token]!.slice() : Float64Array.from(token)
    );
    const result: ReferenceResult = { keys: [], values: [], logits: [], weights: [], normed: [], rawQueries: [] };
    for (let layer = 0; layer < layers; layer++) {
      const w = `layers.${layer}.`;
      const normed = this.norm(x, `${w}input_layernorm`);
      const rawQuery = this.linear(normed, `${w}self_attn.q_proj`), query = this.rotate(rawQuery, at);
      result.normed.push(normed);
      result.rawQueries.push(rawQuery);
      const key = this.rotate(this.linear(normed, `${w}self_attn.k_proj`), at);
      const value = this.linear(normed, `${w}self_attn.v_proj`);
      const output = x.map(() => new Float64Array(heads * headDim));
      for (let h = 0; h < kvHeads; h++) {
        const head = layer * kvHeads + h;
        const newKeys = part(key, h, headDim), newValues = part(value, h, headDim);
        const keys = [...rowsOf(cache.keyRows(head), headDim), ...newKeys];
        const values = [...rowsOf(cache.valueRows(head), headDim), ...newValues];
        const past = cache.live[head]!, perQuery: Float64Array[][] = [];
        for (let g = 0; g < group; g++) {
          const at = (h * group + g) * headDim;
          perQuery.push(query.map((row, i) => {
            const p = softmax(keys, row.subarray(at, at + headDim), past + i + 1);
            p.forEach((weight, slot) => {
              for (let d = 0; d < headDim; d++) output[i]![at + d]! += weight * values[slot]![d]!;
            });
            if (latent[layer]) {
              const own = Float32Array.from(rawQuery[i]!.subarray(at, at + headDim));
              const { out } = latentRead(latent[layer].phi, own, cache.latent!.run(head), headDim);
              out.forEach((x, d) => output[i]![at + d]! += latent[layer]!.gate * x);
            }
            return p;
          }));
        }
        result.keys.push(newKeys);
        result.values.push(newValues);
        result.weights.push(perQuery);
      }
      x = add(x, this.linear(output, `${w}self_attn.o_proj`));
      const middle = this.norm(x, `${w}post_attention_layernorm`);
      const gate = this.linear(middle, `${w}mlp.gate_proj`), up = this.linear(middle, `${w}mlp.up_proj`);
      const activated = gate.map((row, i) => row.map((value, j) => value / (1 + Math.exp(-value)) * up[i]![j]!));
      x = add(x, this.linear(activated, `${w}mlp.down_proj`));
    }
    result.logits = this.linear(this.norm(x, "norm"), this.config.tied ? "embed_tokens" : "lm_head");
    return result;
  }

  private linear(x: Rows, name: string): Rows {
    const matrix = this.weights.get(name)!;
    return x.map((row) => Float64Array.from(matrix, (weights) => dot(weights, row)));
  }

  private norm(x: Rows, name: string): Rows {
    const gain = this.weights.get(name)![0]!;
    return x.map((row) => {
      const scale = 1 / Math.sqrt(dot(row, row) / row.length + this.config.normEps);
      return row.map((value, i) => value * scale * gain[i]!);
    });
  }

  private rotate(x: Rows, position: (row: number) => number): Rows {
    const { headDim, ropeTheta } = this.config, half = headDim / 2;
    return x.map((row, i) => {
      const out = row.slice();
      for (let at = 0; at < row.length; at += headDim) {
        for (let d = 0; d < half; d++) {
          const angle = position(i) * ropeTheta ** (-2 * d / headDim);
          out[at + d] = row[at + d]! * Math.cos(angle) - row[at + half + d]! * Math.sin(angle);
          out[at + half + d] = row[at + half + d]! * Math.cos(angle) + row[at + d]! * Math.sin(angle);
        }
      }
      return out;
    });
  }
}

/** The pass's attention mass as the engine defines it: the last `rows` rows and the heads of each group become one number per slot. */
export function referenceMass({ weights }: ReferenceResult, rows: number, aggregation: "max" | "mean"): Float64Array[] {
  return weights.map((group) => {
    const used = group.flatMap((perRow) => perRow.slice(perRow.length - rows));
    const slots = group[0]!.at(-1)!.length; // the last row sees everything
    return Float64Array.from({ length: slots }, (_, slot) => {
      const values = used.map((row) => row[slot] ?? 0);
      return aggregation === "max" ? Math.max(...values) : values.reduce((a, b) => a + b) / values.length;
    });
  });
}

/** Weights of the first `visible` keys. */
function softmax(keys: ArrayLike<number>[], query: Float64Array, visible: number): Float64Array {
  const scores = Float64Array.from({ length: visible }, (_, slot) => dot(keys[slot]!, query) / Math.sqrt(query.length));
  const top = scores.reduce((a, b) => Math.max(a, b)), exps = scores.map((score) => Math.exp(score - top));
  const sum = exps.reduce((a, b) => a + b);
  return exps.map((value) => value / sum);
}

function part(x: Rows, index: number, width: number): Rows {
  return x.map((row) => row.subarray(index * width, (index + 1) * width));
}

function rowsOf(flat: Float32Array, width: number): Float32Array[] {
  return Array.from({ length: flat.length / width }, (_, row) => flat.subarray(row * width, (row + 1) * width));
}

function add(a: Rows, b: Rows): Rows {
  return a.map((row, i) => row.map((value, j) => value + b[i]![j]!));
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
