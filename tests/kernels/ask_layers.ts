/** From queries to DefensiveKV's scores on the device, in one recording, against the kernels' references in the same order. */
import { askLayer, softmaxBytes } from "../../kernels/probe/ask_layer.ts";
import { ALL_SLOTS, attentionMass } from "../../kernels/probe/attention_mass.ts";
import { wordsOf } from "../../kernels/probe/attention_rows.ts";
import { numbers } from "../../kernels/cases/cases.ts";
import { defensiveFacts, FACTS } from "../../kernels/aggregate/defensive_facts.ts";
import { defensiveScores } from "../../kernels/aggregate/defensive_scores.ts";
import type { Gpu, Numbers } from "../../kernels/gpu.ts";
import { mergeMass } from "../../kernels/probe/merge_mass.ts";
import { softmaxRows } from "../../kernels/probe/softmax_rows.ts";

const layers = 2, kvHeads = 2, group = 3, headDim = 20, stride = 700, rows = 16, heads = layers * kvHeads;
const size = heads * stride;

/**
 * The window's rows ask, then a question that is not appended: the mean and the defensive maximum of both make the scores.
 * @returns what is wrong
 */
export async function checkAsking(gpu: Gpu): Promise<string[]> {
  const perLayer = (count: number, seed: number) =>
    Array.from({ length: layers }, (_, layer) => numbers(count, seed + layer));
  const keys = perLayer(kvHeads * stride * headDim, 1);
  const window = perLayer(rows * kvHeads * group * headDim, 11), question = perLayer(5 * kvHeads * group * headDim, 21);
  const start = Uint32Array.of(0, 0, 40, 0), end = Uint32Array.of(690, 300, 640, 61);
  const share = numbers(size, 31).map((x) => (x + 2.5) / 9), shielded = new Uint32Array(size);
  for (let head = 0; head < heads; head++) {
    shielded.fill(1, head * stride + end[head]! - 32, head * stride + end[head]!);
  }
  const asks = [[window, rows, 0], [question, 5, 5]] as const;
  const merging = { heads, stride, newest: ALL_SLOTS, share: Math.fround(5 / (5 + rows)) };
  const scoring = { heads, kvHeads, stride, budget: 200, certain: 0.9 };

  const empty = () => new Float32Array(size);
  const masses = asks.map(([queries, rows, behind]) => {
    const mean = empty(), worst = empty();
    for (let layer = 0; layer < layers; layer++) {
      const softmax = new Float32Array(kvHeads * rows * group * wordsOf(1));
      const buffers = { queries: queries[layer]!, keys: keys[layer]!, start, end, softmax };
      const of = { kvHeads, firstHead: layer * kvHeads, stride, rows, firstRow: 0, behind, splits: 1 };
      const asking = {
        ...of,
        scale: 1 / Math.sqrt(headDim),
        WIDTH: headDim,
        HEAD_DIM: headDim,
        GROUP: group,
        ROW_LANES: 4,
      };
      softmaxRows.cpu(buffers, asking);
      attentionMass.cpu({ ...buffers, mean, most: empty(), worst }, {
        ...asking,
        newest: ALL_SLOTS,
        weight: 1 / (rows * group),
        MEAN: 1,
        MOST: 0,
        DEFENSIVE: 1,
      });
    }
    return { mean, worst };
  });
  const [mine, theirs] = masses as [typeof masses[0], typeof masses[0]];
  mergeMass.cpu({ other: theirs.mean, mass: mine.mean, start, end }, { ...merging, LARGER: 0 });
  mergeMass.cpu({ other: theirs.worst, mass: mine.worst, start, end }, { ...merging, LARGER: 1 });
  const facts = new Float32Array(heads * FACTS), wanted = empty();
  defensiveFacts.cpu({ ...mine, share, shielded, start, end, facts }, { heads, stride, SCORES: 0 });
  defensiveScores.cpu({ ...mine, share, facts, start, end, scores: wanted }, scoring);

  const made: GPUBuffer[] = [];
  const allocate = async (bytes: number) => made[made.push(await gpu.allocate(bytes, "a test")) - 1]!;
  const filled = async (data: Numbers) => {
    const buffer = await allocate(data.byteLength);
    gpu.write(buffer, data);
    return buffer;
  };
  const on = { start: await filled(start), end: await filled(end) };
  const gpuMasses = [
    { mean: await allocate(4 * size), worst: await allocate(4 * size) },
    { mean: await allocate(4 * size), worst: await allocate(4 * size) },
  ] as const;
  const weights = {
    share: await filled(share),
    shielded: await filled(shielded),
    facts: await allocate(4 * facts.length),
  };
  const scores = await allocate(4 * size), layerKeys: GPUBuffer[] = [];
  for (const one of keys) layerKeys.push(await filled(one));
  const softmax = await allocate(softmaxBytes({ kvHeads, group, stride, rows }));

  const uploads: GPUBuffer[][] = [];
  for (const [queries] of asks) {
    const all: GPUBuffer[] = [];
    for (const one of queries) all.push(await filled(one));
    uploads.push(all);
  }
  const recording = gpu.record();
  asks.forEach(([, rows, behind], i) => {
    const { mean, worst } = gpuMasses[i]!;
    for (let layer = 0; layer < layers; layer++) {
      const buffers = { ...on, queries: uploads[i]![layer]!, keys: layerKeys[layer]!, softmax };
      const of = { kvHeads, firstHead: layer * kvHeads, group, headDim, width: headDim, stride, rows, behind };
      askLayer(gpu, recording, { ...buffers, mass: { mean, defensive: worst } }, of);
    }
  });
  const [first, second] = gpuMasses;
  mergeMass.record(recording, { ...on, other: second.mean, mass: first.mean }, { ...merging, LARGER: 0 });
  mergeMass.record(recording, { ...on, other: second.worst, mass: first.worst }, { ...merging, LARGER: 1 });
  defensiveFacts.record(recording, { ...on, ...first, ...weights }, { heads, stride, SCORES: 0 });
  defensiveScores.record(recording, { ...on, ...first, ...weights, scores }, scoring);
  recording.submit();
  const met = await gpu.read(scores, empty());
  for (const buffer of made) buffer.destroy();

  const failures: string[] = [];
  if (recording.dispatches !== 2 * 2 * layers + 4) failures.push(`asking: ${recording.dispatches} dispatches`);
  const wrong = met.findIndex((x, i) => !(Math.abs(x - wanted[i]!) <= 1e-7 + 1e-4 * wanted[i]!));
  if (wrong >= 0) failures.push(`asking: score ${wrong} is ${met[wrong]}, and ${wanted[wrong]} by the references`);
  return failures;
}
