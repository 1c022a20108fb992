/**
 * Top-k: the slots that stay. The counterpart of `highest` in `core/select/topk.ts`, which is its reference; one launch serves all heads of all layers,
 * each with its own quota; or stretches of all heads (`spread`).
 *
 * Bytes: 40 × Σ live (four passes and two to collect, scores and marks, mostly from the cache) + 4 × Σ quota, none where all stay; dispatches: one.
 */
import { highest } from "../../core/select/highest.ts";
import { ODD_SCORES, ragged, scores } from "../cases/cases.ts";
import { defineKernel, EXACT } from "../kernel.ts";
import source from "./top_k.wgsl" with { type: "text" };

export const topK = defineKernel({
  name: "top_k",
  source,
  bindings: {
    /** Higher means keep, [heads, stride]. */
    scores: "read",
    /** 1 for slots that must stay, [heads, stride]. */
    shielded: "read",
    /** First slot of every list, [lists]. */
    start: "read",
    /** One past its last, [lists]. */
    end: "read",
    /** Slots to keep, [lists]; more than there are keeps all. */
    quota: "read",
    /** Ascending slots that stay, [heads, stride]: a head's from its first place on, or, where `runs > 1`, a list's from its `start` on. */
    kept: "write",
    /** How many stay, [lists]. */
    count: "write",
  },
  /** Lists in all; lists per head, 1 where a list is a head's live slots. */
  params: { lists: "u32", runs: "u32", stride: "u32" },
  constants: [],
  threads: 256,
  grid: ({ lists, runs }) => [runs, lists / runs],
  cpu({ scores, shielded, start, end, quota, kept, count }, { lists, runs, stride }) {
    for (let list = 0; list < lists; list++) {
      const head = Math.floor(list / runs) * stride, from = head + start[list]!, to = head + end[list]!;
      const first = Uint8Array.from(shielded.subarray(from, to));
      const slots = highest(Float32Array.from(scores.subarray(from, to)), quota[list]!, first);
      count[list] = slots.length;
      for (let i = 0; i < slots.length; i++) kept[(runs === 1 ? head : from) + i] = start[list]! + slots[i]!;
    }
  },
  tolerance: EXACT,
  cases: () => [
    one("one slot", [[7]], [1], 0),
    one("one of one slot and nothing of the next", [[7], [7]], [1, 0], 0),
    one("no live slot", [[], [1, 2, 3]], [3, 1], 0),
    one("more than are live", [scores(70), scores(3)], [100, 100], 0),
    one(
      "lengths that are multiples of nothing",
      [scores(1001), scores(63), scores(257), scores(2)],
      [333, 1, 256, 1],
      0,
    ),
    one("layers of three heads", [900, 63, 257, 2, 401, 400].map((n) => scores(n)), [333, 1, 256, 1, 99, 7], 0, 3),
    one("many slots", [scores(9000), scores(8999)], [1024, 8998], 36),
    one("all equal", [Array(777).fill(0.25), Array(64).fill(-3)], [100, 63], 0),
    one("a few values, many ties", [Array.from({ length: 1500 }, (_, i) => i * 7 % 3)], [901], 3),
    one(
      "infinities, zeros of both signs, the smallest numbers",
      Array.from(ODD_SCORES, () => ODD_SCORES),
      [...ODD_SCORES.keys()],
      0,
    ),
    one("more protected than kept", [scores(100)], [3], 40),
    stretches(),
  ],
});

function one(name: string, heads: number[][], quota: number[], guarded: number, kvHeads = 1) {
  const { stride, start, end, place } = ragged(heads.map((head) => head.length), kvHeads);
  const marks = heads.map(({ length }) =>
    Array.from({ length }, (_, i) => i < 4 && i < guarded || i >= length - guarded + 4 ? 1 : 0)
  );
  return {
    name,
    buffers: {
      scores: place(heads, 1e9), // what is not live must not be looked at
      shielded: Uint32Array.from(place(marks, 1)),
      start,
      end,
      quota: Uint32Array.from(quota),
      kept: new Uint32Array(heads.length * stride),
      count: new Uint32Array(heads.length),
    },
    values: { lists: heads.length, runs: 1, stride },
  };
}

/** Three stretches of each of two heads, one of them empty, with slots between them that belong to none. */
function stretches() {
  const stride = 500;
  return {
    name: "stretches of heads",
    buffers: {
      scores: Float32Array.from(scores(2 * stride)),
      shielded: Uint32Array.from({ length: 2 * stride }, (_, i) => i % 50 === 0 ? 1 : 0),
      start: Uint32Array.of(3, 100, 0, 0, 177, 410),
      end: Uint32Array.of(97, 377, 0, 177, 400, 500),
      quota: Uint32Array.of(20, 140, 0, 177, 3, 89),
      kept: new Uint32Array(2 * stride),
      count: new Uint32Array(6),
    },
    values: { lists: 6, runs: 3, stride },
  };
}
