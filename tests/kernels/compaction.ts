/** The kernels of a compaction, in one recording, against `core/compact.ts` on the same cache. */
import { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import { RECENT, SINKS } from "../../core/policy.ts";
import { protectedSlots } from "../../core/protected_slots.ts";
import { Rope } from "../../core/rope.ts";
import { highest } from "../../core/select/highest.ts";
import { advance } from "../../kernels/forward/advance.ts";
import { HIDDEN } from "../../core/gpu_cache.ts";
import { numbers } from "../../kernels/cases/cases.ts";
import { compactPositions } from "../../kernels/compact/compact_positions.ts";
import { gather } from "../../kernels/compact/gather.ts";
import { gatherRotate } from "../../kernels/compact/gather_rotate.ts";
import type { Gpu } from "../../kernels/gpu.ts";
import { labelRows } from "../../kernels/forward/label_rows.ts";
import { protect } from "../../kernels/select/protect.ts";
import { rotationTable } from "../../kernels/compact/rotation.ts";
import { hide } from "../../kernels/compact/hide.ts";
import { settle } from "../../kernels/compact/settle.ts";
import { topK } from "../../kernels/select/top_k.ts";

const shape = { layers: 2, kvHeads: 3, headDim: 20 }, heads = 6, chunk = 37, capacity = 160, rounds = 12;
/** Numbers of a row: the head's, the bias and zeros. */
const WORDS = shape.headDim + 8;
const quota = Uint32Array.of(100, 61, 43, 99, 37, 118);

/**
 * Several chunks: rows come, what is protected and what scores highest stays, rows move, keys turn. Nothing is read back before the last.
 * @param positions keys turn to compact positions, or stay where they stood
 * @returns what is wrong
 */
export async function checkCompaction(gpu: Gpu, positions: "compact" | "original"): Promise<string[]> {
  const { layers, kvHeads, headDim } = shape;
  const rope = new Rope({ headDim, ropeTheta: 10000, ropeScaling: null });
  // on the CPU, heads of different lengths need no more than the mean; here every head has its capacity
  const cache = new KvCache(shape, 400, ["logBias", "score"]);
  let next = 0;

  const buffer = (length: number) => gpu.allocate(4 * length, "a test");
  const slots = heads * capacity, numbersOfLayer = kvHeads * capacity * WORDS;
  const keys = [await buffer(numbersOfLayer), await buffer(numbersOfLayer)];
  const values = [await buffer(numbersOfLayer), await buffer(numbersOfLayer)];
  const [start, end, count, wanted, guarded, summary] = [
    await buffer(heads),
    await buffer(heads),
    await buffer(heads),
    await buffer(heads),
    await buffer(heads),
    await buffer(3 + layers),
  ];
  const [position, source, scores, attribute, shielded, kept] = [
    await buffer(slots),
    await buffer(slots),
    await buffer(slots),
    await buffer(slots),
    await buffer(slots),
    await buffer(slots),
  ];
  const table = rotationTable(rope, 4096), turns = await buffer(table.length);
  gpu.write(turns, table);
  gpu.write(wanted, quota);

  for (let round = 0; round < rounds; round++) {
    const fresh = (seed: number) =>
      Array.from({ length: heads }, (_, head) => numbers(chunk * headDim, 100 * round + 10 * head + seed));
    const [newKeys, newValues] = [fresh(1), fresh(2)];
    const noted = Array.from({ length: heads }, (_, head) => numbers(chunk, 50 * round + head));
    const ends = Array.from(
      { length: layers },
      (_, layer) => Math.max(...cache.live.subarray(layer * kvHeads, (layer + 1) * kvHeads)),
    );
    const endOf = (head: number) => ends[Math.floor(head / kvHeads)]!;

    // as the engine does: rows behind the last live slot of every head, with biases here, so that it shows whether they move
    for (let head = 0; head < heads; head++) {
      const layer = Math.floor(head / kvHeads), first = head % kvHeads * capacity + endOf(head);
      for (const [pool, rows] of [[keys, newKeys], [values, newValues]] as const) {
        const wide = new Float32Array(chunk * WORDS);
        for (let row = 0; row < chunk; row++) {
          wide.set(rows[head]!.subarray(row * headDim, (row + 1) * headDim), row * WORDS);
          if (pool === keys) wide[row * WORDS + headDim] = noted[head]![row]!;
        }
        gpu.write(pool[layer]!, wide, 4 * first * WORDS);
      }
      gpu.write(attribute, noted[head]!, 4 * (head * capacity + endOf(head)));
    }
    cache.append(newKeys, newValues, chunk, next, next, { logBias: noted, score: noted });
    const before = next + chunk, score = numbers(slots, round);
    const keep = Array.from({ length: heads }, (_, head) => {
      const n = cache.live[head]!, at = head * capacity + endOf(head) + chunk - n;
      return highest(score.slice(at, at + n), quota[head]!, protectedSlots(cache.sources(head)));
    });
    next = compact(cache, keep, positions, rope, positions === "compact" ? before : next + chunk);

    gpu.write(scores, score);
    const recording = gpu.record(), all = { heads, kvHeads, stride: capacity };
    const first = before - chunk;
    labelRows.record(recording, { end, source, position }, {
      heads,
      stride: capacity,
      count: chunk,
      firstSource: first,
      firstPosition: first,
    });
    advance.record(recording, { end }, { heads, count: chunk });
    protect.record(recording, { source, start, end, shielded, guarded }, { ...all, sinks: SINKS, recent: RECENT });
    topK.record(recording, { scores, shielded, start, end, quota: wanted, kept, count }, {
      lists: heads,
      runs: 1,
      stride: capacity,
    });
    for (let layer = 0; layer < layers; layer++) {
      const of = { heads: kvHeads, firstHead: layer * kvHeads, kvHeads, stride: capacity, WORDS };
      const pool = keys[layer]!;
      if (positions === "compact") {
        gatherRotate.record(recording, { kept, count, position, turns, pool }, {
          ...of,
          allHeads: heads,
          sinks: SINKS,
          KEY: headDim,
          HALF: 0,
        });
      } else gather.record(recording, { kept, count, pool }, { ...of, MOVED: headDim + 1 });
      hide.record(recording, { count, pool }, { ...of, hidden: HIDDEN.f32, COLUMN: headDim + 1 });
      gather.record(recording, { kept, count, pool: values[layer]! }, { ...of, MOVED: headDim });
    }
    for (const pool of positions === "compact" ? [source, attribute] : [source, attribute, position]) {
      gather.record(recording, { kept, count, pool }, { ...all, firstHead: 0, WORDS: 1, MOVED: 1 });
    }
    if (positions === "compact") compactPositions.record(recording, { count, position }, { ...all, sinks: SINKS });
    settle.record(recording, { count, start, end, summary }, all);
    recording.submit();
  }

  const failures: string[] = [];
  const expect = (ok: boolean, what: string) => ok || failures.push(`compaction, ${positions}: ${what}`);
  const [begins, stops] = [await gpu.read(start, new Uint32Array(heads)), await gpu.read(end, new Uint32Array(heads))];
  const told = await gpu.read(summary, new Uint32Array(3 + layers));
  const lives = Array.from(cache.live), sum = lives.reduce((a, b) => a + b, 0), longest = Math.max(...lives);
  const wantedSummary = [
    sum + chunk * heads,
    sum,
    longest,
    Math.max(...lives.slice(0, 3)),
    Math.max(...lives.slice(3)),
  ];
  expect(String(told) === String(wantedSummary), `the summary is ${told}, not ${wantedSummary}`);
  if (positions === "compact") expect(next === told[2], `the next position is ${next}, not ${told[2]}`);
  const perSlot = {
    position: await gpu.read(position, new Int32Array(slots)),
    source: await gpu.read(source, new Int32Array(slots)),
    score: await gpu.read(attribute, new Float32Array(slots)),
  };
  for (let head = 0; head < heads; head++) {
    const layer = Math.floor(head / kvHeads), n = cache.live[head]!, at = cache.start[head]!, from = begins[head]!;
    expect(stops[head]! - from === n, `head ${head} has slots ${from}…${stops[head]}, and should have ${n}`);
    expect(stops[head] === told[3 + layer], `head ${head} ends at ${stops[head]}, its layer at ${told[3 + layer]}`);
    const mine = {
      position: cache.position.subarray(at, at + n),
      source: cache.sources(head),
      score: cache.attribute("score", head),
    };
    for (const name of ["position", "source", "score"] as const) {
      for (let slot = 0; slot < n; slot++) {
        const met = perSlot[name][head * capacity + from + slot]!, should = mine[name][slot]!;
        expect(met === should, `slot ${slot} of head ${head} has ${name} ${met}, not ${should}`);
      }
    }
    const run = 4 * (head % kvHeads * capacity) * WORDS;
    for (
      const [name, pool, rows] of [
        ["key", keys, cache.keyRows(head)],
        ["value", values, cache.valueRows(head)],
      ] as const
    ) {
      const met = await gpu.read(pool[layer]!, new Float32Array(stops[head]! * WORDS), run);
      let worst = 0;
      for (let i = 0; i < rows.length; i++) {
        const there = met[(from + Math.floor(i / headDim)) * WORDS + i % headDim]!;
        worst = Math.max(worst, Math.abs(there - rows[i]!));
      }
      // twelve turns in single precision, on both sides
      const allowed = name === "key" && positions === "compact" ? 2e-5 : 0;
      expect(worst <= allowed, `${name}s of head ${head} differ by ${worst}`);
      if (name === "value") continue;
      for (let slot = 0; slot < stops[head]!; slot++) {
        const hides = met[slot * WORDS + headDim + 1], hidden = slot < from ? HIDDEN.f32 : 0;
        expect(hides === hidden, `slot ${slot} of head ${head} is hidden by ${hides}, not ${hidden}`);
        const bias = met[slot * WORDS + headDim], should = mine.score[slot - from];
        expect(slot < from || bias === should, `slot ${slot} of head ${head} has the bias ${bias}, not ${should}`);
      }
    }
  }
  const all = [start, end, count, wanted, guarded, summary, position, source, scores, attribute, shielded, kept, turns];
  for (const one of [...keys, ...values, ...all]) one.destroy();
  return failures;
}
