/** The references of the kernels that score with attention, against the CPU path that they stand for: the graph's own nodes, and the aggregates. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { defensive } from "../../core/aggregate/defensive.ts";
import { KvCache } from "../../core/cache.ts";
import { probabilities } from "../../core/engine/attention.ts";
import { type Aggregation, massIfScored } from "../../core/engine/attention_mass.ts";
import { Graph, serializeModel } from "../../core/engine/onnx.ts";
import type { StageContext } from "../../core/policy.ts";
import { ALL_SLOTS, attentionMass } from "../../kernels/probe/attention_mass.ts";
import { wordsOf } from "../../kernels/probe/attention_rows.ts";
import { numbers } from "../../kernels/cases/cases.ts";
import { defensiveFacts, FACTS } from "../../kernels/aggregate/defensive_facts.ts";
import { defensiveScores } from "../../kernels/aggregate/defensive_scores.ts";
import { normShares } from "../../kernels/aggregate/norm_shares.ts";
import { softmaxRows } from "../../kernels/probe/softmax_rows.ts";
import { difference, openTiny } from "../tiny_llama.ts";

const { engine, close } = await openTiny();
const D = 12, GROUP = 3, KV_HEADS = 2;
const AGGREGATIONS: Aggregation[] = ["max", "mean", "defensive"];

describe("attention mass", () => {
  after(close);

  for (
    const [what, past, newRows, scored] of [
      ["the window of a chunk", 71, 40, 9],
      ["all rows of a first chunk", 0, 33, 33],
      ["one row", 50, 1, 1],
      ["a question", 90, 7, 7],
    ] as const
  ) {
    test(`of ${what} is what the graph gives, appended or not`, async () => {
      const all = past + newRows, queries = numbers(newRows * KV_HEADS * GROUP * D, 1);
      const keys = numbers(KV_HEADS * all * D, 2);
      const asked = await graphMass(queries, keys, past, newRows, scored);
      for (const behind of [0, newRows]) {
        const live = all - behind, start = new Uint32Array(KV_HEADS), end = new Uint32Array(KV_HEADS).fill(live);
        const values = {
          kvHeads: KV_HEADS,
          firstHead: 0,
          stride: all,
          rows: scored,
          firstRow: newRows - scored,
          behind,
          splits: 2,
          scale: 1 / Math.sqrt(D),
          WIDTH: D,
          GROUP,
          HEAD_DIM: D,
          ROW_LANES: 4,
        };
        const softmax = new Float32Array(KV_HEADS * scored * GROUP * wordsOf(2));
        softmaxRows.cpu({ queries, keys, start, end, softmax }, values);
        const out = () => new Float32Array(KV_HEADS * all);
        const [mean, most, worst] = [out(), out(), out()];
        attentionMass.cpu({ queries, keys, start, end, softmax, mean, most, worst }, {
          ...values,
          newest: ALL_SLOTS,
          weight: 1 / (scored * GROUP),
          MEAN: 1,
          MOST: 1,
          DEFENSIVE: 1,
        });
        for (let h = 0; h < KV_HEADS; h++) {
          for (const [aggregation, met] of [["max", most], ["mean", mean], ["defensive", worst]] as const) {
            const off = difference(
              met.slice(h * all, h * all + live),
              asked.get(`${aggregation}.${h}`)!.slice(0, live),
            );
            assert.ok(off < 1e-6, `${aggregation}, head ${h}, ${behind} rows behind: off by ${off}`);
          }
        }
      }
    });
  }
});

/** What the graph's own nodes give. @param keys [KV_HEADS, past + newRows, D] @returns by `aggregation.head` [past + newRows] */
async function graphMass(
  queries: Float32Array,
  keys: Float32Array,
  past: number,
  newRows: number,
  scored: number,
): Promise<Map<string, Float32Array>> {
  const each = (name: string) => Array.from({ length: KV_HEADS }, (_, h) => `${name}.${h}`);
  const result = await engine.dense(`mass.${past}.${newRows}.${scored}`, () => {
    const graph = new Graph("mass");
    graph.input("query", "float32", [1, newRows, KV_HEADS * GROUP * D]);
    graph.input("mask", "float32", [GROUP * scored, newRows]);
    for (const name of each("past")) graph.input(name, "float32", [1, 1, past, D]);
    for (const name of each("new")) graph.input(name, "float32", [1, newRows, D]);
    graph.constant("score", "bool", [1], Uint8Array.of(1));
    graph.int64s("axis1", [1]);
    graph.int64s("axis2", [2]);
    graph.int64s("axes01", [0, 1]);
    graph.int64s("shape.group", [1, GROUP, -1, 0]);
    const shared = {
      rowCount: "",
      rowCount64: graph.int64s("S64", [newRows]),
      firstRow: graph.int64s("first", [newRows - scored]),
      mask: "mask",
      headsShape: graph.int64s("shape.heads", [1, KV_HEADS, -1, D]),
      querySplitShape: graph.int64s("shape.query", [-1, KV_HEADS, GROUP, D]),
      outputSplitShape: "",
      outputShape: "",
    };
    const wires = {
      query: "query",
      groupQueries: [],
      newKeys: each("new"),
      newValues: [],
      pastKeys: each("past"),
      pastValues: [],
      pastBias: null,
    };
    const mass = AGGREGATIONS.map((aggregation) => ({ aggregation, outputs: each(aggregation) }));
    const shape = { kvHeads: KV_HEADS, group: GROUP, headDim: D };
    massIfScored(graph, "", mass, (graph) => probabilities(graph, "p.", wires, shared, shape));
    for (const { outputs } of mass) for (const name of outputs) graph.output(name, "float32", ["T"]);
    return serializeModel(graph);
  });
  const mask = new Float32Array(GROUP * scored * newRows);
  for (let row = 0; row < GROUP * scored; row++) {
    mask.fill(-1e9, row * newRows + newRows - scored + row % scored + 1, (row + 1) * newRows);
  }
  const inputs: Parameters<typeof result.run>[0] = {
    query: { data: queries, dims: [1, newRows, KV_HEADS * GROUP * D] },
    mask: { data: mask, dims: [GROUP * scored, newRows] },
  };
  for (let h = 0; h < KV_HEADS; h++) {
    const rows = keys.subarray(h * (past + newRows) * D, (h + 1) * (past + newRows) * D);
    inputs[`past.${h}`] = { data: rows.slice(0, past * D), dims: [1, 1, past, D] };
    inputs[`new.${h}`] = { data: rows.slice(past * D), dims: [1, newRows, D] };
  }
  const outputs = await result.run(inputs);
  return new Map(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
}

test("norm_shares, defensive_facts and defensive_scores together are the aggregate defensive, of masses and of scores", () => {
  const shape = { layers: 2, kvHeads: 2, headDim: 1 }, heads = 4, stride = 300, budget = 120, before = 211, fresh = 70;
  const live = [281, 150, 90, 281], gone = (head: number) => live[head]! - fresh;
  for (const SCORES of [0, 1]) {
    const cache = new KvCache(shape, stride, ["valueNorm", "normShare"]);
    const rows = (count: number, seed: number) => Array.from({ length: heads }, (_, h) => numbers(count, seed + h));
    const norm = new Float32Array(heads * stride), share = norm.slice();
    // what earlier compactions left has its shares, of other tokens in every head
    for (let head = 0; head < heads; head++) {
      const old = numbers(gone(head), 80 + head).map((x) => (x + 2.5) / 9), at = head * stride;
      share.set(old, at);
      norm.set(numbers(live[head]!, 90 + head).map((x) => x + 2), at);
      cache.live[head] = gone(head);
      cache.attribute("normShare", head).set(old);
    }
    cache.append(rows(fresh, 1), rows(fresh, 2), fresh, before, before);
    const masses = rows(stride, 3).map((row, head) => {
      const some = row.subarray(0, live[head]).map((x) => SCORES ? x : Math.exp(3 * x)),
        sum = some.reduce((a, b) => a + b);
      return SCORES ? some : some.map((x) => x / sum);
    });
    const worst = SCORES ? masses : masses.map((row) => row.map((x, i) => Math.min(1, x * (1 + i % 5))));
    const protectedSlots = live.map((n) => Uint8Array.from({ length: n }, (_, i) => Number(i < 4 || i >= n - 32)));
    for (let head = 0; head < heads; head++) {
      cache.attribute("valueNorm", head).set(norm.subarray(head * stride, head * stride + live[head]!));
    }
    const evidence = SCORES ? { score: masses } : { mean: masses, defensive: worst };
    const asked = defensive().score(
      evidence,
      { cache, budget, protectedSlots } as unknown as StageContext,
    ) as Float32Array[];

    const flat = <T extends Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>>(
      out: T,
      rows: ArrayLike<number>[],
    ) => {
      rows.forEach((row, head) => out.set(row, head * stride));
      return out;
    };
    const start = new Uint32Array(heads), end = Uint32Array.from(live), size = heads * stride;
    const buffers = {
      worst: flat(new Float32Array(size), worst),
      mean: flat(new Float32Array(size), masses),
      share,
      start,
      end,
      facts: new Float32Array(heads * FACTS),
    };
    normShares.cpu({ norm, end, share }, { heads, kvHeads: 2, stride, count: fresh });
    const shielded = flat(new Uint32Array(size), protectedSlots);
    defensiveFacts.cpu({ ...buffers, shielded }, { heads, stride, SCORES });
    const scores = new Float32Array(size);
    defensiveScores.cpu({ ...buffers, scores }, { heads, kvHeads: 2, stride, budget, certain: 0.9 });
    asked.forEach((row, head) => {
      const off = difference(scores.slice(head * stride, head * stride + live[head]!), row);
      assert.ok(off < 1e-6, `head ${head}${SCORES ? ", scores" : ""}: off by ${off}`);
    });
  }
});
