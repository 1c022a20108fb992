/**
 * Top similar: for every evicted slot of a layer's heads the receivers whose keys are most like its own; or, as `NEARNESS` with M = 1, the centroid that is
 * nearest. The counterpart of `core/dense/top_similar.ts` and `core/dense/nearest.ts`.
 *
 * Dispatches: 1 per layer. Bytes: every 16 rows read all columns: (rows / 16 × columns + rows) × 4 D + rows × 8 M per head; of that only
 * (rows + columns) × 4 D need come from beyond the caches. Multiplications: rows × columns × D.
 */
import { numbers, scattered } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { type LosingHeads, losingHeads } from "../cases/losing_heads.ts";
import source from "./top_similar.wgsl" with { type: "text" };

/** Threads of a row, as in the shader. */
const LANES = 16;
/** In place of a column where there is none. */
export const NONE = 0xffffffff;
/** Its likeness. */
const LEAST = Math.fround(-3.4e38);

/** What LIKENESS stands for. */
export const PRODUCT = 0, COSINE = 1, NEARNESS = 2;

export const topSimilar = defineKernel({
  name: "top_similar",
  source,
  bindings: {
    /** The layer's keys [heads, stride, WIDTH]; D and WIDTH are multiples of 4. */
    pool: "read",
    /** Their lengths [heads, stride] (`row_norms`); not looked at for PRODUCT. */
    norms: "read",
    /** Slots whose like is sought [all heads, stride], how many [all heads]. */
    rows: "read",
    rowCount: "read",
    /** Slots to choose from [all heads, stride], how many [all heads]. */
    columns: "read",
    columnCount: "read",
    /** [heads, stride, M], descending; -3.4e38 where there are fewer than M columns. */
    likeness: "write",
    /** Which they are, as places in `columns` [heads, stride, M]; NONE where there are fewer. */
    index: "write",
  },
  stored: ["pool"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "D", "M", "LIKENESS"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride * LANES / threads), heads],
  cpu(of, { heads, firstHead, stride, WIDTH, D, M, LIKENESS }) {
    for (let head = 0; head < heads; head++) {
      const lists = (firstHead + head) * stride, run = head * stride;
      const width = of.columnCount[firstHead + head]!;
      const dot = (a: number, b: number) => {
        let sum = 0;
        for (let d = 0; d < D; d++) sum += of.pool[a * WIDTH + d]! * of.pool[b * WIDTH + d]!;
        return sum;
      };
      for (let row = 0; row < of.rowCount[firstHead + head]!; row++) {
        const mine = run + of.rows[lists + row]!;
        const like = Array.from({ length: width }, (_, column) => {
          const other = run + of.columns[lists + column]!, theirs = of.norms[other]!;
          if (LIKENESS === PRODUCT) return Math.fround(dot(mine, other) / Math.sqrt(D));
          if (LIKENESS === NEARNESS) return Math.fround(2 * dot(mine, other) - theirs * theirs);
          const both = of.norms[mine]! * theirs;
          return both === 0 ? 0 : Math.fround(dot(mine, other) / both);
        });
        const order = [...like.keys()].sort((a, b) => like[b]! - like[a]! || a - b);
        for (let i = 0; i < M; i++) {
          of.likeness[(run + row) * M + i] = i < width ? like[order[i]!]! : LEAST;
          of.index[(run + row) * M + i] = i < width ? order[i]! : NONE;
        }
      }
    }
  },
  tolerance: { absolute: 2e-6, relative: 2e-6, reason: "sums in single precision" },
  cases: () =>
    losingHeads().flatMap((of) =>
      ([[20, 28, 4, COSINE], [64, 64, 1, NEARNESS], [12, 12, 3, PRODUCT]] as const)
        .map(([D, WIDTH, M, LIKENESS]) => ({
          name: `${of.name}, ${M} by likeness ${LIKENESS}, ${D} of ${WIDTH} columns`,
          ...similarCase(of, { D, WIDTH, M, LIKENESS }),
        }))
    ),
});

/** Keys with repeated rows, so that there are ties, and one row of zeros. */
export function keysOf(count: number, WIDTH: number): Float32Array<ArrayBuffer> {
  const pool = scattered(count * WIDTH, 2);
  for (let slot = 5; slot < count; slot += 6) pool.copyWithin(slot * WIDTH, (slot - 5) * WIDTH, (slot - 4) * WIDTH);
  pool.fill(0, 8 * WIDTH, 9 * WIDTH);
  return pool;
}

function similarCase(of: LosingHeads, { D, WIDTH, M, LIKENESS }: Record<"D" | "WIDTH" | "M" | "LIKENESS", number>) {
  const { allHeads, firstHead, stride } = of, heads = allHeads - firstHead, pool = keysOf(heads * stride, WIDTH);
  const norms = Float32Array.from({ length: heads * stride }, (_, slot) => {
    return Math.hypot(...pool.subarray(slot * WIDTH, slot * WIDTH + D));
  });
  return {
    buffers: {
      pool,
      norms,
      rows: of.evicted,
      rowCount: of.evictedCount,
      columns: of.receivers,
      columnCount: of.receiverCount,
      likeness: numbers(heads * stride * M, 6),
      index: new Uint32Array(heads * stride * M).fill(5),
    },
    values: { heads, firstHead, stride, WIDTH, D, M, LIKENESS },
  };
}
