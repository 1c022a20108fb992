/**
 * The likeliest token of every row of logits, so that 4 bytes a row come back instead of the row: `argmax` of `core/decode/write.ts`.
 *
 * One dispatch per written token. Bytes: 4 · rows · (vocab + 1).
 */
import { argmax as likeliest } from "../../core/decode/write.ts";
import { numbers } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./argmax.wgsl" with { type: "text" };

export const argmax = defineKernel({
  name: "argmax",
  source,
  bindings: {
    /** [rows, vocab]; the buffer may be longer. */
    logits: "read",
    /** [rows] */
    ids: "write",
  },
  params: { rows: "u32", vocab: "u32" },
  constants: [],
  // one workgroup walks a whole vocabulary: as many as a device allows
  threads: 1024,
  grid: ({ rows }) => [rows],
  cpu({ logits, ids }, { rows, vocab }) {
    for (let row = 0; row < rows; row++) {
      ids[row] = likeliest((logits as Float32Array).subarray(row * vocab, (row + 1) * vocab));
    }
  },
  tolerance: EXACT,
  cases: () => [
    ...[1, 2, 255, 1021, 2049, 49_152, 49_159].map((vocab) => one(`a row of ${vocab}`, [numbers(vocab, vocab)])),
    one("rows of 1,000", [1, 2, 3, 4, 5].map((seed) => numbers(1000, seed))),
    one("the buffer is longer", [numbers(700, 4)], 900),
    one("the largest in every place of 300", Array.from({ length: 300 }, (_, at) => row(300, 0, { [at]: 1 }))),
    one(
      "equals: the first, whichever thread has it",
      [
        row(5000, 1),
        row(5000, -3, { 1023: 2, 1024: 2 }),
        row(5000, -3, { 4999: 2, 257: 2 }),
        row(5000, -3, { 2048: -1, 1: -1 }),
        row(300, -1, { 7: -0, 9: 0 }),
        row(300, -1, { 7: 0, 9: -0 }),
      ].map((logits) => lengthened(5000, logits)),
    ),
    one("all negative, and tiny", [row(900, -5, { 850: -4.5 }), row(900, -1e-40, { 3: -1e-41 })]),
    one("infinities", [
      row(3000, 1, { 2500: Infinity, 2600: Infinity }),
      row(3000, -Infinity),
      row(3000, -Infinity, { 2999: -3e38 }),
      row(3000, 3e38, { 10: Infinity, 2: -Infinity }),
    ]),
    one("NaN is never larger, nor is anything than a first one", [
      row(3000, NaN),
      row(3000, NaN, { 1234: 1 }),
      row(3000, NaN, { 0: -Infinity }),
      row(3000, NaN, { 0: -Infinity, 2900: -1 }),
      row(3000, -1, { 0: NaN, 5: Infinity }),
      row(3000, -1, { 1: NaN, 5: Infinity, 4: NaN }),
    ]),
  ],
});

/** `vocab` times the same, but for these. */
function row(vocab: number, value: number, others: Record<number, number> = {}): Float32Array<ArrayBuffer> {
  const logits = new Float32Array(vocab).fill(value);
  for (const [id, other] of Object.entries(others)) logits[Number(id)] = other;
  return logits;
}

/** A short row made longer with what is never taken. */
function lengthened(vocab: number, logits: Float32Array): Float32Array<ArrayBuffer> {
  const all = new Float32Array(vocab).fill(-Infinity);
  all.set(logits);
  return all;
}

function one(name: string, all: Float32Array<ArrayBuffer>[], more = 0) {
  const vocab = all[0]!.length, rows = all.length;
  const logits = new Float32Array(rows * vocab + more).fill(Infinity);
  all.forEach((row, i) => logits.set(row, i * vocab));
  return { name, buffers: { logits, ids: new Uint32Array(rows + more).fill(7) }, values: { rows, vocab } };
}
