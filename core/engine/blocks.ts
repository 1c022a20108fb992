/** Stored weights into the form that ONNX Runtime's MatMulNBits takes, without a loss where the format allows it. */
import { ModelError } from "../errors.ts";
import { type Blocks8, type BlockSize, quantiseBlock } from "./blocks/quantise.ts";
import { exactQ4_0, exactQ5_0, exactQ6_K, exactQ8_0, exactScaled } from "./blocks/exact.ts";
import { dequantise, FORMATS } from "./dequantise.ts";
import { SCALED } from "./dequantise/scaled.ts";
import { requireFinite } from "./finite.ts";
import type { TensorType, WeightTensor } from "./weights.ts";

/** Weights in ONNX Runtime's MatMulNBits form. */
export interface BlockMatrix {
  bits: 4 | 8;
  blockSize: 16 | 32 | 64 | 128 | 256;
  rows: number;
  columns: number;
  /** [rows, ⌈columns / blockSize⌉, blockSize * bits / 8]; 4-bit values in consecutive pairs, low nibble first. */
  data: Uint8Array;
  /** [rows, ⌈columns / blockSize⌉]; value = (q - zeroPoint) * scale. */
  scales: Float32Array;
  /** One byte (8 bits) or nibble (4 bits, low first, rows padded to a byte) per block; absent: 128 or 8. */
  zeroPoints?: Uint8Array;
  /** The dequantised values equal the stored tensor's to the last bit of the product scale × integer. */
  lossless: boolean;
}

interface ExactForm {
  bits: 4 | 8;
  blockSize: 16 | 32 | 256;
  move(bytes: Uint8Array, blocks: number, data: Uint8Array, scales: Float32Array): void;
}

const EXACT_FORMS: Partial<Record<TensorType, ExactForm>> = {
  Q4_0: { bits: 4, blockSize: 32, move: exactQ4_0 },
  Q5_0: { bits: 8, blockSize: 32, move: exactQ5_0 },
  Q8_0: { bits: 8, blockSize: 32, move: exactQ8_0 },
  Q6_K: { bits: 8, blockSize: 16, move: exactQ6_K },
  ...Object.fromEntries(
    Object.entries(SCALED).map(([type, scaled]) => {
      const { bits, scaleElements } = scaled, { blockElements, blockBytes } = FORMATS[type as keyof typeof SCALED];
      return [type, { bits, blockSize: scaleElements, move: exactScaled(scaled, blockElements, blockBytes) }];
    }),
  ),
};

/**
 * Converts a matrix [rows, columns]. Types whose values are a scale times an integer (Q4_0, Q5_0, Q8_0, Q6_K, and
 * those of `dequantise/scaled.ts`): lossless, no zero points. Q4_1, Q5_1, Q2_K, Q4_K, Q5_K, F32, F16, BF16: 8 bits in blocks of 64 (of 32 where a row is no multiple of 64) with zero points, the last block of a row padded with its
 * zero point.
 *
 * @throws {ModelError} when the tensor is no matrix, its bytes do not fit its shape, or a weight is not finite.
 */
export function toBlocks(tensor: WeightTensor): BlockMatrix {
  const { name, type, shape, bytes } = tensor;
  const [rows, columns] = shape;
  const { blockElements, blockBytes } = FORMATS[type];
  if (
    shape.length !== 2 || columns % blockElements !== 0 || bytes.length !== rows * columns / blockElements * blockBytes
  ) {
    throw new ModelError(
      `Cannot quantise tensor ${name}: ${bytes.length} bytes of ${type} are no matrix of shape [${shape.join(", ")}]`,
    );
  }
  const matrix = convert(type, rows, columns, bytes);
  requireFinite(matrix.scales, name);
  return matrix;
}

/**
 * Quantises f32 values [rows, columns] to 8 bits in blocks with zero points.
 *
 * @throws {ModelError} when a value is not finite or their number is wrong.
 */
export function matrixFromFloats(rows: number, columns: number, values: Float32Array, bits: 8): BlockMatrix {
  if (values.length !== rows * columns) {
    throw new ModelError(`Cannot quantise a matrix: ${values.length} values are not of shape [${rows}, ${columns}]`);
  }
  const matrix = quantiseRows(rows, columns, (row) => values.subarray(row * columns, (row + 1) * columns));
  requireFinite(matrix.scales, "from floats");
  return { ...matrix, bits };
}

/** Weights without a form of their own. */
const floatBlock = (columns: number): BlockSize => columns % 64 === 0 ? 64 : 32;

/** What `toBlocks` makes of a matrix of this type: how large, known before it is done. */
export function blockForm(type: TensorType, columns: number): { bits: 4 | 8; blockSize: number; zeroPoints: boolean } {
  const exact = EXACT_FORMS[type];
  if (exact) return { bits: exact.bits, blockSize: exact.blockSize, zeroPoints: false };
  return { bits: 8, blockSize: floatBlock(columns), zeroPoints: true };
}

function convert(type: TensorType, rows: number, columns: number, bytes: Uint8Array): BlockMatrix {
  const exact = EXACT_FORMS[type];
  if (exact) {
    const { bits, blockSize } = exact;
    const data = new Uint8Array(rows * columns * bits / 8);
    const scales = new Float32Array(rows * columns / blockSize);
    exact.move(bytes, bytes.length / FORMATS[type].blockBytes, data, scales);
    return { bits, blockSize, rows, columns, data, scales, lossless: true };
  }
  const rowBytes = bytes.length / rows;
  const values = new Float32Array(columns);
  return quantiseRows(
    rows,
    columns,
    (row) => dequantise(type, bytes.subarray(row * rowBytes, (row + 1) * rowBytes), values),
  );
}

function quantiseRows(rows: number, columns: number, rowOf: (row: number) => Float32Array): BlockMatrix {
  const size = floatBlock(columns);
  const perRow = Math.ceil(columns / size);
  const out: Blocks8 = {
    data: new Uint8Array(rows * perRow * size),
    scales: new Float32Array(rows * perRow),
    zeroPoints: new Uint8Array(rows * perRow),
  };
  for (let row = 0; row < rows; row++) {
    const values = rowOf(row);
    for (let b = 0; b < perRow; b++) {
      quantiseBlock(values, b * size, Math.min(size, columns - b * size), out, row * perRow + b, size);
    }
  }
  return { bits: 8, blockSize: size, rows, columns, ...out, lossless: false };
}
