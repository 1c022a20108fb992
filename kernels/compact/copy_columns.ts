/**
 * Copy columns: a few words of every row go to other rows: the biases of wide slots, which a cache in int8 keeps beside its rows, to where kernels look for
 * them and back.
 *
 * Bytes: 8 × heads × count × COLUMNS; dispatches: one per layer of a wide cache.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./copy_columns.wgsl" with { type: "text" };

export const copyColumns = defineKernel({
  name: "copy_columns",
  source,
  bindings: {
    /** A row every `fromRow` words, a head every `fromHead`. */
    origin: "read",
    /** The same with `toRow` and `toHead`. */
    copy: "write",
  },
  /** Row r becomes row `toFirst + r`, r < `count`. */
  params: {
    count: "u32",
    fromHead: "u32",
    fromRow: "u32",
    toHead: "u32",
    toRow: "u32",
    toFirst: "u32",
    heads: "u32",
  },
  constants: ["COLUMNS", "FROM_COLUMN", "TO_COLUMN"],
  threads: 256,
  grid: ({ heads, count }, threads) => [Math.ceil(count / threads), heads],
  cpu(
    { origin, copy },
    { heads, count, fromHead, fromRow, toHead, toRow, toFirst, COLUMNS, FROM_COLUMN, TO_COLUMN },
  ) {
    for (let head = 0; head < heads; head++) {
      for (let row = 0; row < count; row++) {
        const from = head * fromHead + row * fromRow + FROM_COLUMN,
          to = head * toHead + (toFirst + row) * toRow + TO_COLUMN;
        for (let c = 0; c < COLUMNS; c++) copy[to + c] = origin[from + c]!;
      }
    }
  },
  tolerance: EXACT,
  cases: () =>
    ([
      ["biases into wide rows", 300, 2, 0, 20, 12, 0],
      ["biases of a pass's rows behind the live ones", 7, 20, 12, 2, 0, 31],
      ["nothing", 0, 2, 0, 12, 4, 0],
    ] as const).map(([name, count, fromWidth, FROM_COLUMN, toWidth, TO_COLUMN, toFirst]) => {
      const heads = 3, stride = toFirst + count + 1;
      return {
        name,
        buffers: {
          origin: numbers(heads * (count + 1) * fromWidth, 3),
          copy: new Float32Array(heads * stride * toWidth).fill(-1),
        },
        values: {
          heads,
          count,
          fromHead: count * fromWidth,
          fromRow: fromWidth,
          toHead: stride * toWidth,
          toRow: toWidth,
          toFirst,
          COLUMNS: 2,
          FROM_COLUMN,
          TO_COLUMN,
        },
      };
    }),
});
