/** The kernels of a compaction, in one recording, against `core/compact.ts` on the same cache. */
import { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import { Rope } from "../../core/rope.ts";
import { advance } from "../../kernels/advance.ts";
import { append } from "../../kernels/append.ts";
import { numbers } from "../../kernels/cases.ts";
import { compactPositions } from "../../kernels/compact_positions.ts";
import { gather } from "../../kernels/gather.ts";
import { gatherRotate } from "../../kernels/gather_rotate.ts";
import type { Gpu } from "../../kernels/gpu.ts";
import { rotationTable } from "../../kernels/rotation.ts";
import { topK } from "../../kernels/top_k.ts";

const shape = { layers: 2, kvHeads: 3, headDim: 20 }, heads = 6, chunk = 37, capacity = 160, rounds = 12;
const quota = Uint32Array.of(100, 61, 23, 99, 5, 118);

/**
 * Several chunks: append, select by score, gather, rotate, positions compact. Nothing is read back before the last.
 * @returns what is wrong
 */
export async function checkCompaction(gpu: Gpu): Promise<string[]> {
  const { kvHeads, headDim } = shape, words = headDim;
  const rope = new Rope({ headDim, ropeTheta: 10000, ropeScaling: null });
  const cache = new KvCache(shape, capacity);
  let next = 0;

  const buffer = (length: number) => gpu.allocate(4 * length, "a test");
  const slots = heads * capacity;
  const keys = [await buffer(slots / 2 * headDim), await buffer(slots / 2 * headDim)];
  const values = [await buffer(slots / 2 * headDim), await buffer(slots / 2 * headDim)];
  const [live, count, wanted] = [await buffer(heads), await buffer(heads), await buffer(heads)];
  const [position, scores, shielded, kept] = [
    await buffer(slots),
    await buffer(slots),
    await buffer(slots),
    await buffer(slots),
  ];
  const table = rotationTable(rope, 4096), turns = await buffer(table.length);
  gpu.write(turns, table);
  gpu.write(wanted, quota);

  for (let round = 0; round < rounds; round++) {
    const rows = (head: number, seed: number) => numbers(chunk * headDim, 100 * round + 10 * head + seed);
    const all = (seed: number) => Array.from({ length: heads }, (_, head) => rows(head, seed));
    const newKeys = all(1), newValues = all(2);
    const score = numbers(slots, round);
    const guard = Uint32Array.from({ length: slots }, (_, i) => i % capacity < 4 ? 1 : 0);

    cache.append(newKeys, newValues, chunk, next, next);
    const keep = Array.from({ length: heads }, (_, head) => {
      const n = cache.live[head]!, at = head * capacity;
      const held = { live: Uint32Array.of(n), quota: quota.slice(head, head + 1) };
      const kept = new Uint32Array(capacity), count = new Uint32Array(1);
      topK.cpu(
        { ...held, scores: score.slice(at, at + n), shielded: guard.slice(at, at + n), kept, count },
        { heads: 1, stride: capacity },
      );
      return Int32Array.from(kept.subarray(0, count[0]));
    });
    const before = next + chunk;
    next = compact(cache, keep, "compact", rope, before);

    const recording = gpu.record();
    const lent: GPUBuffer[] = [];
    for (let layer = 0; layer < shape.layers; layer++) {
      const of = { heads: kvHeads, firstHead: layer * kvHeads, stride: capacity, WORDS: words };
      for (const [pool, fresh] of [[keys[layer]!, newKeys], [values[layer]!, newValues]] as const) {
        const packed = new Float32Array(kvHeads * chunk * headDim);
        for (let h = 0; h < kvHeads; h++) packed.set(fresh[layer * kvHeads + h]!, h * chunk * headDim);
        const source = gpu.borrow(packed.byteLength);
        lent.push(source);
        gpu.write(source, packed);
        append.record(recording, { rows: source, live, pool }, {
          ...of,
          count: chunk,
          headStep: chunk * words,
          rowStep: words,
        });
      }
    }
    // positions of the new rows: a policy's caller writes them where it knows them; here all heads are as long as they are on the CPU
    const fresh = Int32Array.from({ length: chunk }, (_, i) => before - chunk + i);
    for (let head = 0; head < heads; head++) {
      gpu.write(position, fresh, 4 * (head * capacity + lengthBefore(round, head)));
    }
    gpu.write(scores, score);
    gpu.write(shielded, guard);
    advance.record(recording, { live }, { heads, count: chunk });
    topK.record(recording, { scores, shielded, live, quota: wanted, kept, count }, { heads, stride: capacity });
    for (let layer = 0; layer < shape.layers; layer++) {
      const of = { heads: kvHeads, firstHead: layer * kvHeads, stride: capacity, WORDS: words };
      gatherRotate.record(recording, { kept, count, position, turns, pool: keys[layer]! }, {
        ...of,
        allHeads: heads,
        sinks: 4,
        HALF: 0,
      });
      gather.record(recording, { kept, count, pool: values[layer]! }, of);
    }
    compactPositions.record(recording, { count, position }, { heads, stride: capacity, sinks: 4 });
    recording.encoder.copyBufferToBuffer(count, 0, live, 0, 4 * heads);
    recording.submit();
    for (const one of lent) gpu.release(one);
  }

  const failures: string[] = [];
  const lengths = await gpu.read(live, new Uint32Array(heads));
  const stands = await gpu.read(position, new Int32Array(slots));
  for (let head = 0; head < heads; head++) {
    const layer = Math.floor(head / kvHeads), run = head % kvHeads * capacity * headDim;
    const n = cache.live[head]!, start = cache.start[head]!;
    if (lengths[head] !== n) failures.push(`compaction: head ${head} has ${lengths[head]} slots, not ${n}`);
    for (let slot = 0; slot < n; slot++) {
      const met = stands[head * capacity + slot], should = cache.position[start + slot];
      if (met !== should) failures.push(`compaction: slot ${slot} of head ${head} stands at ${met}, not ${should}`);
    }
    for (
      const [name, pool, mine] of [["key", keys, cache.keyRows(head)], [
        "value",
        values,
        cache.valueRows(head),
      ]] as const
    ) {
      const rows = await gpu.read(pool[layer]!, new Float32Array(mine.length), 4 * run);
      const worst = mine.reduce((most, x, i) => Math.max(most, Math.abs(x - rows[i]!)), 0);
      const allowed = name === "key" ? 2e-5 : 0; // twelve turns in single precision, on both sides
      if (!(worst <= allowed)) failures.push(`compaction: ${name}s of head ${head} differ by ${worst}`);
    }
  }
  for (const one of [...keys, ...values, live, count, wanted, position, scores, shielded, kept, turns]) one.destroy();
  return failures;
}

function lengthBefore(round: number, head: number): number {
  return round === 0 ? 0 : Math.min(quota[head]!, round * chunk);
}
