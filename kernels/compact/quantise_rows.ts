/**
 * Quantise rows: numbers become int8 with a scale per row, as `StoredRows` on the CPU stores them, for a cache in int8 (`GpuInt8`). New rows of a pass go
 * to the nearest; keys that were turned are rounded by chance, as turns of less than half a step would else never happen. What was widened and not changed
 * stays what it was, whichever way it is rounded.
 *
 * Bytes: heads × count × (9 × D + 4), as every row is read twice; dispatches: one per layer and pool.
 */
import { scattered as withoutOrder } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./quantise_rows.wgsl" with { type: "text" };

/** Chance in 0…1 of a number at a place. */
function scattered(bits: number, place: number): number {
  let x = bits ^ Math.imul(place, 0x9e3779b1);
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return ((x ^ (x >>> 16)) >>> 8) / 2 ** 24;
}

/** Halves to even. */
function nearest(x: number): number {
  const whole = Math.round(x);
  return Math.abs(x - Math.trunc(x)) === 0.5 && whole % 2 !== 0 ? whole - 1 : whole;
}

export const quantiseRows = defineKernel({
  name: "quantise_rows",
  source,
  bindings: {
    /** f32; a row every `rowStep` words, a head every `headStep`. */
    rows: "read",
    /** Unsigned bytes, 128 higher, [heads, stride, D]. */
    data: "write",
    /** [heads, stride] */
    scales: "write",
  },
  /** Row r is slot `first + r`, r < `count`. */
  params: { stride: "u32", headStep: "u32", rowStep: "u32", first: "u32", count: "u32", heads: "u32" },
  /** Numbers of a row that are taken, a multiple of 4; whether they are rounded by chance. */
  constants: ["D", "CHANCE"],
  threads: 64,
  grid: ({ heads, count }, threads) => [Math.ceil(count / threads), heads],
  cpu({ rows, data, scales }, { heads, stride, headStep, rowStep, first, count, D, CHANCE }) {
    const bits = new Uint32Array(rows.buffer, rows.byteOffset, rows.length);
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < count; row++) {
        const from = head * headStep + row * rowStep, slot = head * stride + first + row;
        let most = 0;
        for (let i = 0; i < D; i++) most = Math.max(most, Math.abs(rows[from + i]!));
        const scale = scales[slot] = Math.fround(most / 127), factor = scale > 0 ? Math.fround(1 / scale) : 0;
        for (let i = 0; i < D; i += 4) {
          let word = 0;
          for (let j = 0; j < 4; j++) {
            const x = Math.fround(rows[from + i + j]! * factor), near = nearest(x);
            const whole = !CHANCE || Math.abs(x - near) < 1e-3
              ? near
              : Math.floor(Math.fround(x + scattered(bits[from + i + j]!, slot * D + i + j)));
            word |= Math.min(127, Math.max(-127, whole)) + 128 << 8 * j;
          }
          data[(slot * D + i) / 4] = word >>> 0;
        }
      }
    }
  },
  // integers are equal: the cases are small enough that no number of theirs lies where an error in the quotient would decide
  tolerance: {
    absolute: 0,
    relative: 3e-7,
    reason: "a device may divide with an error of 2.5 units in the last place",
  },
  cases: () =>
    ([
      ["rows of a pass behind the live slots", 2, 90, 12, 5, 71, 17, 0],
      ["a whole layer, wide rows, by chance", 3, 11, 12, 8, 0, 11, 1],
      ["one row", 1, 1, 4, 0, 0, 1, 0],
      ["no rows", 2, 8, 8, 0, 3, 0, 1],
    ] as const).map(([name, heads, stride, D, more, first, count, CHANCE]) => {
      const width = D + more, isPass = first > 0, rows = withoutOrder(heads * stride * width, 6);
      // of one row all numbers are zeros
      if (count > 2) rows.fill(0, width, 2 * width);
      return {
        name,
        buffers: {
          rows,
          data: new Uint32Array(heads * stride * D / 4).fill(0x80808080),
          scales: new Float32Array(heads * stride),
        },
        values: {
          heads,
          stride,
          // rows of a pass lie beside each other, head by head
          headStep: isPass ? width : stride * width,
          rowStep: isPass ? heads * width : width,
          first,
          count,
          D,
          CHANCE,
        },
      };
    }),
});
