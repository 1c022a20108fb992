/**
 * Rows of keys or values as the CPU's cache stores them: float32 as they are, float16, or int8 with a float32 scale per row (its largest number is ±127;
 * nearest, halves to even). What is read of the last two is a copy, widened; what is written is rounded. A row that is read and written back unchanged stays
 * the same, bit for bit.
 *
 * A key is turned a little at every compaction. Rounded to the nearest integer, turns of less than half a step would never happen, however many there are,
 * and slow pairs of numbers would stay behind: turned rows, of float16 too, are rounded up or down by chance (of the slot, its number
 * and its position: the same in every run), so that what is lost adds up to nothing.
 */
/** What a GPU computes with keys and values in. Half precision wants a device with `shader-f16`. */
export type KvType = "f32" | "f16";
/** What a cache stores keys and values in. */
export type StoredType = KvType | "int8";

type Numbers = Float32Array | Float16Array | Int8Array;

/** Numbers that move with a slot, and how many each slot has. */
export type Pool = readonly [pool: Numbers, width: number];

/** A run of rows as a graph takes them. */
export interface StoredRun {
  /** [count, width] */
  data: Numbers;
  /** [count], of int8 only. */
  scales: Float32Array | null;
}

/** Bytes of one row. */
export const BYTES_PER_ROW: Readonly<Record<StoredType, (width: number) => number>> = {
  f32: (width) => 4 * width,
  f16: (width) => 2 * width,
  int8: (width) => width + 4,
};

export class StoredRows {
  readonly pools: readonly Pool[];
  private readonly data: Numbers;
  private readonly scales: Float32Array | null;

  /** @param count rows @throws {RangeError} when the memory cannot be had */
  constructor(readonly type: StoredType, count: number, readonly width: number) {
    const size = count * width;
    this.data = type === "f32" ? new Float32Array(size) : type === "f16" ? new Float16Array(size) : new Int8Array(size);
    this.scales = type === "int8" ? new Float32Array(count) : null;
    this.pools = [[this.data, width], ...this.scales ? [[this.scales, 1] as const] : []];
  }

  /** All rows, [rows, width]. @throws {TypeError} where they are not in float32 */
  get whole(): Float32Array {
    if (this.data instanceof Float32Array) return this.data;
    throw new TypeError(`Rows in ${this.type} have no view in float32`);
  }

  /** Rows from one on, [count, width]: a view in float32, else a copy. */
  read(row: number, count: number): Float32Array {
    const { width, scales } = this, run = this.data.subarray(row * width, (row + count) * width);
    if (run instanceof Float32Array) return run;
    const rows = Float32Array.from(run);
    if (!scales) return rows;
    for (let i = 0, at = 0; i < count; i++) {
      const scale = scales[row + i]!;
      for (const end = at + width; at < end; at++) rows[at]! *= scale;
    }
    return rows;
  }

  /** Stores rows from one on. @param rows [count, width] @param turned positions [count] of turned keys, which are rounded by chance; others to the nearest */
  write(row: number, rows: Float32Array, turned: Int32Array | null = null): void {
    const { data, width, scales } = this;
    if (!scales) {
      // what `read` gave of float32 is here already
      if (rows.buffer === data.buffer) return;
      data.set(turned && data instanceof Float16Array ? byChance(rows, width, turned, row) : rows, row * width);
      return;
    }
    const bits = new Int32Array(rows.buffer, rows.byteOffset, rows.length);
    for (let from = 0, i = 0; from < rows.length; from += width, row++, i++) {
      // without their signs, bits of floats are ordered as the floats are
      let most = 0;
      for (let n = from; n < from + width; n++) {
        const size = bits[n]! & 0x7fffffff;
        most = size > most ? size : most;
      }
      floatBits[0] = most;
      scales[row] = float[0]! / 127;
      // of the scale as it was stored, so that reading and writing again finds the same integers
      const factor = scales[row]! > 0 ? 1 / scales[row]! : 0, at = row * width - from;
      if (!turned) {
        for (let n = from; n < from + width; n++) data[at + n] = rows[n]! * factor + ROUND - ROUND;
        continue;
      }
      let state = seedOf(row, turned[i]!);
      for (let n = from; n < from + width; n++) {
        state ^= state << 13; // xorshift
        state ^= state >>> 17;
        state ^= state << 5;
        // cut off above 0: quicker than Math.floor. The largest number may lie a little beyond 127
        const whole = (rows[n]! * factor + 128 + (state >>> 8) * PER_CHANCE | 0) - 128;
        data[at + n] = whole > 127 ? 127 : whole < -127 ? -127 : whole;
      }
    }
  }

  /** A run as it is stored. */
  run(row: number, count: number): StoredRun {
    const { width } = this;
    return {
      data: this.data.subarray(row * width, (row + count) * width),
      scales: this.scales && this.scales.subarray(row, row + count),
    };
  }
}

/** Added and taken away, leaves the nearest integer, halves to even, of numbers far below 2^51. */
const ROUND = 1.5 * 2 ** 52;
const PER_CHANCE = 2 ** -24;

/** Of the chance with which a row is rounded, never 0. */
const seedOf = (row: number, position: number): number =>
  Math.imul(position + 1, 0x9e3779b1) ^ Math.imul(row + 1, 0x85ebca6b) | 1;

/** Digits of a float32 beyond float16's. */
const BEYOND = 0x1fff;

/** Rows rounded up or down to what float16 holds of them. */
function byChance(rows: Float32Array, width: number, turned: Int32Array, row: number): Float32Array {
  const bits = new Int32Array(rows.length), given = new Int32Array(rows.buffer, rows.byteOffset, rows.length);
  for (let from = 0, i = 0; from < rows.length; from += width, i++) {
    let state = seedOf(row + i, turned[i]!);
    for (let n = from; n < from + width; n++) {
      state ^= state << 13; // xorshift
      state ^= state >>> 17;
      state ^= state << 5;
      bits[n] = given[n]! + (state & BEYOND) & ~BEYOND;
    }
  }
  return new Float32Array(bits.buffer);
}
const float = new Float32Array(1), floatBits = new Int32Array(float.buffer);
