/** GPU forms of `core/probe/`: which queries ask the cache what matters? */
import { judgeqRows } from "../../core/probe/judgeq.ts";
import { repetition } from "../../core/probe/kvzip.ts";
import { LOOKAHEAD } from "../../core/probe/lookahead.ts";
import { MAX_ROWS } from "../../core/probe/question.ts";
import { roleTokens } from "../../core/probe/role.ts";
import { type MakeRows, placed } from "../../core/probe/soft.ts";
import { metasoftRows } from "../../core/probe/metasoft.ts";
import { SINKS } from "../../core/policy.ts";
import { perRope, ropesOf } from "../../core/rope.ts";
import { queryMoments } from "../forward/query_moments.ts";
import { expectation, meanTurn } from "../probe/expectation.ts";
import { expectedLeading } from "../probe/expected_leading.ts";
import { expectedLogits } from "../probe/expected_logits.ts";
import { expectedScore } from "../probe/expected_score.ts";
import { expectedSoftmax } from "../probe/expected_softmax.ts";
import { h2oScores } from "../probe/h2o_scores.ts";
import { keydiff } from "../probe/keydiff.ts";
import { knorm } from "../probe/knorm.ts";
import { completePartitions, lagRank } from "../probe/lag_rank.ts";
import { lagkv } from "../probe/lagkv.ts";
import { mergeMass } from "../probe/merge_mass.ts";
import { none } from "../probe/none.ts";
import { random } from "../probe/random.ts";
import { ALL_SLOTS, unitBlocks, unitSum } from "../probe/unit_sum.ts";
import type { Compaction, GpuEvidence } from "./compaction.ts";
import { recordNarrowed, recordWhole } from "./narrowed.ts";
import { keysOf, valuesOf } from "./rows.ts";

export type Look = (compaction: Compaction) => GpuEvidence | Promise<GpuEvidence>;

/** How the aggregate wants mass. */
const wanted = ({ moment: { policy } }: Compaction) => policy.aggregate.rows;

/** The chunk's last rows ask. @param name of their arrays */
const window = (compaction: Compaction, name?: string): GpuEvidence => {
  const { probe } = compaction.moment.policy, rows = Math.min(probe.windowRows, compaction.moment.rows);
  return compaction.askWithChunk(rows, wanted(compaction), name);
};

/** A score of every live slot from a kernel that looks at no rows. */
function perSlot(compaction: Compaction, record: (scores: GPUBuffer) => void): GpuEvidence {
  const score = compaction.memory.slots.perSlot("score.probe");
  record(score);
  return { score };
}

/** One launch a layer over its rows. */
function perLayer(compaction: Compaction, record: (layer: number, scores: GPUBuffer) => void): GpuEvidence {
  return perSlot(compaction, (scores) => {
    for (let layer = 0; layer < compaction.shape.layers; layer++) record(layer, scores);
  });
}

const rowNumbers = ({ shape: { width, headDim } }: Compaction) => ({ WIDTH: width, HEAD_DIM: headDim });

const LAG = 128;
/** Positions over which the expected rotation is averaged. */
const FUTURE = 512;

/** As `lagkv` of `core/probe/lagkv.ts`. */
export const lag = (size = LAG, sinks = SINKS): Look => (compaction) => {
  const { memory, memory: { slots }, moment: { tokensRead, rows }, shape: { layers, heads, stride } } = compaction;
  const { source, start, end } = slots, scored = slots.perSlot("attribute.score");
  const firstPartition = completePartitions(tokensRead - rows, sinks, size);
  const partitions = completePartitions(tokensRead, sinks, size) - firstPartition;
  for (let layer = 0; layer < layers && partitions > 0; layer++) {
    const keys = keysOf(compaction.recording, memory, layer), values = valuesOf(compaction.recording, memory, layer);
    const buffers = { keys, values, source, start, end, scored };
    const numbers = { ...compaction.layer(layer), ...rowNumbers(compaction), sinks, firstPartition, partitions };
    lagRank.record(compaction.recording, buffers, { ...numbers, LAG: size });
  }
  return perSlot(
    compaction,
    (scores) => lagkv.record(compaction.recording, { scored, start, end, scores }, { heads, stride }),
  );
};

/** As `expected` of `core/probe/expected.ts`. */
export const expected = (future = FUTURE, sinks = SINKS, weighted = true): Look => (compaction) => {
  const { memory, memory: { slots, engine, gpu }, moment, shape, recording } = compaction;
  const { kvHeads, group, headDim, width, stride, heads, layers } = shape, { source, start, end } = slots;
  const queryHeads = kvHeads * group, raw = moment.chunk!.rawQueries!;
  // the sinks' queries are like no others
  const first = Math.min(moment.rows - 1, Math.max(0, sinks - (moment.tokensRead - moment.rows)));
  const array = (name: string, numbers: number) => slots.array(`expected.${name}`, 4 * numbers);
  const sum = array("sum", queryHeads * headDim), outer = array("outer", queryHeads * headDim * headDim);
  const mean = array("mean", queryHeads * headDim), form = array("form", queryHeads * headDim * headDim);
  const logits = array("logits", queryHeads * stride), softmax = array("softmax", 2 * queryHeads);
  let turns = 0;
  const turn = perRope(ropesOf(engine.config), (rope) => {
    const turn = array(`turn.${turns++}`, headDim);
    gpu.write(turn, meanTurn(rope, moment.nextPosition, future));
    return turn;
  });
  return perSlot(compaction, (scores) => {
    for (let layer = 0; layer < layers; layer++) {
      const numbers = { ...compaction.layer(layer), ...rowNumbers(compaction), GROUP: group, sinks };
      queryMoments.record(recording, { queries: raw[layer]!, sum, outer }, {
        ...numbers,
        heads: queryHeads,
        first,
        behind: moment.rows,
        rowStep: queryHeads * width,
      });
      expectation.record(recording, { sum, outer, turn: turn(layer), mean, form }, {
        ...numbers,
        heads: queryHeads,
        rows: moment.rows - first,
      });
      const keys = keysOf(recording, memory, layer), values = valuesOf(recording, memory, layer);
      expectedLogits.record(recording, { keys, mean, form, source, start, end, logits }, numbers);
      expectedSoftmax.record(recording, { logits, start, end, softmax }, numbers);
      expectedScore.record(recording, { values, logits, softmax, start, end, scores }, {
        ...numbers,
        WEIGHTED: Number(weighted),
      });
    }
    expectedLeading.record(recording, { source, start, end, scores }, { heads, stride, sinks });
  });
};

/** The score of the chunk's slots is the most that any row of its repetition gives them. Two submits for each piece. */
async function kvzip(compaction: Compaction): Promise<GpuEvidence> {
  const { memory, moment, shape: { heads, stride } } = compaction, { slots } = memory, { start, end } = slots;
  const { tokens, rows, options: { answerTokens, tokenizer } } = moment, score = slots.perSlot("attribute.score");
  const positionsLeft = Math.min(moment.positionsLeft, memory.cache.free);
  recordNarrowed(compaction.recording, memory, moment.tokensRead - rows);
  compaction.flush();
  for (const piece of repetition({ tokens, answerTokens, tokenizer, positionsLeft })) {
    const { max } = await compaction.askWith(piece, ["max"], "mass.kvzip", rows);
    const merging = { heads, stride, newest: rows, share: 0, LARGER: 1 };
    mergeMass.record(compaction.recording, { other: max!, start, end, mass: score }, merging);
  }
  recordWhole(compaction.recording, memory);
  return { score };
}

/** The answer's first words ask, written one after the other; its id comes back for each. */
async function lookahead(compaction: Compaction): Promise<GpuEvidence> {
  const { memory: { cache }, moment: { options, positionsLeft, liveSlots } } = compaction;
  const before = [...options.questionTokens, ...options.answerTokens];
  const room = Math.min(positionsLeft, cache.free, Math.floor(options.budget.capacity - liveSlots));
  const count = Math.max(1, Math.min(LOOKAHEAD, room - before.length));
  let token = await compaction.write(before.slice(-Math.max(1, room - count))), evidence: GpuEvidence | null = null;
  for (let asked = 0; asked < count; asked++) {
    if (evidence && options.tokenizer.stopIds.has(token)) break;
    const name = evidence ? "mass.lookahead.more" : "mass.lookahead";
    const step = await compaction.askAndWrite(token, wanted(compaction), name);
    evidence = evidence ? merged(compaction, evidence, step.evidence) : step.evidence;
    token = step.next;
  }
  compaction.forget();
  return evidence!;
}

/** Learned rows ask in a pass of their own: `core/probe/soft.ts`. */
const soft = (make: MakeRows, name: string): Look => (compaction) => {
  const { memory: { engine }, moment: { options, document, nextPosition, positionsLeft } } = compaction;
  const { questionTokens } = options;
  const context = { packs: engine.packs, document, questionTokens, nextPosition, positionsLeft };
  return compaction.askWithRows(placed(make(context), context), wanted(compaction), name);
};

/** By the variant's name. */
const looks: Record<string, Look> = {
  window: (compaction) => window(compaction),
  "window-32": (compaction) => window(compaction),
  tova: (compaction) => window(compaction),
  question: (compaction) =>
    compaction.askWith(compaction.moment.options.questionTokens.slice(-MAX_ROWS), wanted(compaction), "mass.question"),
  role: (compaction) => {
    const { options: { answerTokens, tokenizer }, positionsLeft } = compaction.moment;
    return compaction.askWith(roleTokens({ answerTokens, tokenizer, positionsLeft }), wanted(compaction), "mass.role");
  },
  judgeq: soft(judgeqRows, "mass.judgeq"),
  metasoft: soft(metasoftRows, "mass.metasoft"),
  h2o: (compaction) => {
    const { memory: { slots }, moment: { rows }, shape: { heads, stride }, recording } = compaction,
      { start, end } = slots;
    const mass = compaction.askWithChunk(rows, ["mean"]).mean!;
    const sum = slots.perSlot("attribute.score"), seen = slots.perSlot("attribute.seen");
    return perSlot(
      compaction,
      (scores) => h2oScores.record(recording, { mass, start, end, sum, seen, scores }, { heads, stride, rows }),
    );
  },
  none: (compaction) => {
    const { memory: { slots: { start, end } }, shape, recording } = compaction;
    return perSlot(compaction, (scores) => none.record(recording, { start, end, scores }, shape));
  },
  random: (compaction) => {
    const { memory: { slots: { source, start, end } }, shape, recording } = compaction;
    return perSlot(compaction, (scores) => random.record(recording, { source, start, end, scores }, shape));
  },
  knorm: (compaction) => {
    const { memory, memory: { slots: { start, end } }, recording } = compaction;
    return perLayer(
      compaction,
      (layer, scores) =>
        knorm.record(recording, { keys: keysOf(recording, memory, layer), start, end, scores }, {
          ...compaction.layer(layer),
          ...rowNumbers(compaction),
        }),
    );
  },
  keydiff: (compaction) => {
    const { memory, memory: { slots }, recording, shape: { stride, kvHeads, headDim } } = compaction,
      { start, end } = slots;
    const parts = slots.array("unit_sum", 4 * kvHeads * unitBlocks({ stride, newest: ALL_SLOTS }) * headDim);
    return perLayer(compaction, (layer, scores) => {
      const keys = keysOf(recording, memory, layer),
        numbers = { ...compaction.layer(layer), ...rowNumbers(compaction) };
      unitSum.record(recording, { keys, start, end, parts }, { ...numbers, newest: ALL_SLOTS });
      keydiff.record(recording, { keys, parts, start, end, scores }, numbers);
    });
  },
  lagkv: lag(),
  indexer: (compaction) => {
    const { memory: { slots, indexer }, shape: { heads, stride }, recording, moment: { policy } } = compaction;
    return perSlot(compaction, (scores) => {
      indexer!.recordScores(compaction, policy.probe.indexRows!, scores);
      const { source, start, end } = slots;
      expectedLeading.record(recording, { source, start, end, scores }, { heads, stride, sinks: SINKS });
    });
  },
  kvzip,
  lookahead,
  expected: expected(),
  "expected-mass": expected(FUTURE, SINKS, false),
};

/** Evidence as if the rows of both had asked at once, in the first one's arrays: `merged` in `core/probe/evidence.ts`. */
function merged(compaction: Compaction, a: GpuEvidence, b: GpuEvidence): GpuEvidence {
  const { memory: { slots: { start, end } }, shape: { heads, stride } } = compaction, rows = a.rows! + b.rows!;
  for (const aggregation of wanted(compaction)) {
    mergeMass.record(compaction.recording, { other: b[aggregation]!, start, end, mass: a[aggregation]! }, {
      heads,
      stride,
      newest: ALL_SLOTS,
      share: b.rows! / rows,
      LARGER: Number(aggregation !== "mean"),
    });
  }
  return { ...a, rows };
}

/** Two probes at once, as `mixture` in `core/probe/mixture.ts`. */
async function mixed(compaction: Compaction, first: Look, second: Look): Promise<GpuEvidence> {
  const a = await first(compaction), b = await second(compaction);
  return merged(compaction, a, b);
}

/** The form of a probe by its name, `question+role` too; null where there is none. */
export function probeForm(name: string): Look | null {
  if (!name.includes("+")) return Object.hasOwn(looks, name) ? looks[name]! : null;
  const [first, second] = name.split("+").map(probeForm);
  if (!first || !second) return null;
  return (compaction) => mixed(compaction, first, second);
}
