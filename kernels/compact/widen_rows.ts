/**
 * Widen rows: those of a layer of a cache in int8, in float32, for kernels that compute with them. The counterpart of `quantise_rows`; columns of a wide row
 * behind the head's numbers stay as they are.
 *
 * Bytes: heads × stride × (5 × D + 4); dispatches: one per layer and pool.
 */
import { scattered } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import source from "./widen_rows.wgsl" with { type: "text" };

export const widenRows = defineKernel({
  name: "widen_rows",
  source,
  bindings: {
    /** Unsigned bytes, 128 higher, [heads, stride, D]. */
    data: "read",
    /** [heads, stride] */
    scales: "read",
    /** f32 [heads, stride, WIDTH] */
    rows: "write",
  },
  params: { stride: "u32", heads: "u32" },
  /** Numbers of a head's row, a multiple of 4, and of a row in float32. */
  constants: ["D", "WIDTH"],
  threads: 256,
  grid: ({ heads, stride, D }, threads) => [Math.ceil(stride * D / 4 / threads), heads],
  cpu({ data, scales, rows }, { heads, stride, D, WIDTH }) {
    for (let slot = 0; slot < heads * stride; slot++) {
      for (let i = 0; i < D; i++) {
        const byte = data[(slot * D + i - i % 4) / 4]! >>> 8 * (i % 4) & 255;
        rows[slot * WIDTH + i] = (byte - 128) * scales[slot]!;
      }
    }
  },
  tolerance: { absolute: 0, relative: 2e-7, reason: "a product, rounded" },
  cases: () =>
    ([["plain rows", 2, 133, 64, 64], ["wide rows", 3, 70, 12, 20], ["one row", 1, 1, 4, 4]] as const).map((
      [name, heads, stride, D, WIDTH],
    ) => ({
      name,
      buffers: {
        data: new Uint32Array(scattered(heads * stride * D / 4, 1).buffer),
        scales: scattered(heads * stride, 2).map(Math.abs),
        rows: new Float32Array(heads * stride * WIDTH).fill(-3),
      },
      values: { heads, stride, D, WIDTH },
    })),
});
