/**
 * From tensors as files store them to those that the graphs compute with: matrices that stand in one are taken apart, and rows of queries and keys are
 * put into half-split rotary order. Whole rows move as they are stored, so quantised ones stay as they are.
 */
import { ModelError } from "../errors.ts";
import type { Architecture } from "./architectures/architecture.ts";
import { dequantise } from "./dequantise.ts";
import type { ModelConfig, RowRange, WeightTensor } from "./weights.ts";

/** Where a tensor stands: bytes from `offset` on, in whatever it stands. */
export interface Place {
  shape: number[];
  offset: number;
  byteLength: number;
}

/**
 * Tensors by our names, with the parts of fused matrices in place of these.
 * @throws {ModelError} when parts and whole do not fit, or a tensor would be there twice
 */
export function taken<P extends Place>(
  path: string,
  stored: Iterable<[name: string, place: P]>,
  config: ModelConfig,
  architecture: Architecture,
): Map<string, P> {
  const fused = architecture.fused?.(config) ?? {}, tensors = new Map<string, P>();
  const add = (name: string, place: P) => {
    if (tensors.has(name)) throw new ModelError(`Cannot use model ${path}: it holds tensor ${name} twice`);
    tensors.set(name, place);
  };
  for (const [name, place] of stored) {
    const [, prefix, own] = /^(layers\.\d+\.)(.+)$/.exec(name) ?? [];
    const parts = own !== undefined && Object.hasOwn(fused, own) ? fused[own]! : null;
    if (!parts) {
      add(name, place);
      continue;
    }
    const [rows, ...rest] = place.shape, all = parts.reduce((sum, [, count]) => sum + count, 0);
    if (rows !== all) {
      throw new ModelError(
        `Cannot use model ${path}: tensor ${name} has ${rows} rows, where ${parts.map(([part]) => part).join(", ")} ` +
          `have ${all}`,
      );
    }
    let offset = place.offset;
    for (const [part, count] of parts) {
      const byteLength = place.byteLength / rows * count;
      add(prefix + part, { ...place, shape: [count, ...rest], offset, byteLength });
      offset += byteLength;
    }
  }
  return tensors;
}

/** Where some rows of a tensor stand; all without a part. @throws {RangeError} where it has them not */
export function partOf<P extends Place>(place: P, part: RowRange | undefined): P {
  if (!part) return place;
  const { first, count } = part, [rows, ...rest] = place.shape, rowBytes = place.byteLength / rows!;
  if (!(first >= 0 && count > 0 && first + count <= rows!)) {
    throw new RangeError(`${count} rows from ${first} on are not in a tensor of ${rows}`);
  }
  const offset = place.offset + first * rowBytes;
  return { ...place, shape: [count, ...rest], offset, byteLength: count * rowBytes };
}

/**
 * For every row of a head of q or k as the graphs have it, the row of the file. Row i turns with row i + headDim / 2. Where only the first of the file's
 * rows turn, the others stand behind each half of these: pairs that turn by nothing, so graphs and kernels know whole heads only.
 * @param isInterleaved llama.cpp's converter permuted the rows: pair i stands at 2i and 2i + 1, and not at i and i + headDim / 2
 * @returns null where they are the same
 */
export function rowOrder(
  { headDim, rotaryDim }: Pick<ModelConfig, "headDim" | "rotaryDim">,
  isInterleaved: boolean,
): Int32Array | null {
  if (!isInterleaved && rotaryDim === headDim) return null;
  const half = headDim / 2, turning = rotaryDim / 2;
  return Int32Array.from({ length: headDim }, (_, row) => {
    const side = Math.floor(row / half), pair = row % half;
    if (pair >= turning) return rotaryDim + side * (half - turning) + pair - turning;
    return isInterleaved ? 2 * pair + side : side * turning + pair;
  });
}

/** Rows of whole heads in another order: row i of each becomes what row `order[i]` was. */
export function reordered(bytes: Uint8Array, rows: number, order: Int32Array): Uint8Array {
  if (rows % order.length !== 0) throw new RangeError(`${rows} rows are no whole heads of ${order.length}`);
  const rowBytes = bytes.length / rows, out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % order.length, from = (row - inHead + order[inHead]!) * rowBytes;
    out.set(bytes.subarray(from, from + rowBytes), row * rowBytes);
  }
  return out;
}

/**
 * The gains of a norm as they are multiplied by, where files hold them less `plus`, or queries are scaled by them: [n] of F32.
 * @returns other tensors, and gains that are right, as they are
 */
export function withGains(tensor: WeightTensor, plus: number, { queryFactor }: ModelConfig): WeightTensor {
  const times = tensor.name.endsWith(".self_attn.q_norm") ? queryFactor : 1;
  if (!/norm$/.test(tensor.name) || plus === 0 && times === 1) return tensor;
  const gains = dequantise(tensor.type, tensor.bytes).map((gain) => (gain + plus) * times);
  return { ...tensor, type: "F32", bytes: new Uint8Array(gains.buffer) };
}

/** Whether rows of the tensor are numbers of queries or keys. */
export const isTurned = (name: string): boolean => /\.self_attn\.[qk]_(proj|norm)(\.bias)?$/.test(name);
