/** A cache in int8 on the device: what many compactions make of its rows, that what only moves stays bit for bit, and what a narrowed cache hides. */
import { GpuKvCache, HIDDEN } from "../../core/gpu_cache.ts";
import { SINKS } from "../../core/policy.ts";
import { Rope } from "../../core/rope.ts";
import { scattered } from "../../kernels/cases/cases.ts";
import { rotationTable } from "../../kernels/compact/rotation.ts";
import { EVERYTHING } from "../../kernels/compact/narrow.ts";
import type { Gpu } from "../../kernels/gpu.ts";
import type { GpuMemory } from "../../kernels/reading/compaction.ts";
import { recordMove } from "../../kernels/reading/move.ts";
import { recordNarrowed } from "../../kernels/reading/narrowed.ts";
import { storeNewRows } from "../../kernels/reading/rows.ts";
import { Slots } from "../../kernels/reading/slots.ts";

const shape = { layers: 1, kvHeads: 1, headDim: 64 };
/** Every compaction drops the slot behind the sinks, so that all others turn by one position. */
const TURNS = 500, LEFT = 24, ROWS = TURNS + LEFT, IN_ONE = 50;
/** Of a row's length, as the CPU's int8 is held to. */
const BOUND = 0.25;

/** @returns what is wrong */
export async function checkInt8Rows(gpu: Gpu): Promise<string[]> {
  const { headDim } = shape, rope = new Rope({ headDim, ropeTheta: 10000, ropeScaling: null });
  const cache = new GpuKvCache(gpu.device, shape, ROWS, true, "int8"), slots = new Slots(gpu, 1, ROWS);
  const { slotDim, int8 } = cache, wide = new Float32Array(ROWS * slotDim), table = rotationTable(rope, ROWS);
  const rows = scattered(ROWS * headDim, 3), turns = slots.array("turns", table.byteLength);
  for (let row = 0; row < ROWS; row++) {
    wide.set(rows.subarray(row * headDim, (row + 1) * headDim), row * slotDim);
    wide[row * slotDim + headDim] = row; // its bias
  }
  const fresh = slots.array("fresh", wide.byteLength), kept = slots.perSlot("kept"), count = slots.perHead("count");
  gpu.write(turns, table);
  gpu.write(fresh, wide);
  gpu.write(slots.position, Int32Array.from({ length: ROWS }, (_, i) => i));
  gpu.write(slots.end, Uint32Array.of(ROWS));
  gpu.write(kept, Uint32Array.from({ length: ROWS - 1 }, (_, i) => i < SINKS ? i : i + 1));
  storeNewRows(gpu, cache, { keys: [fresh], values: [fresh], count: ROWS });
  const bytes = (buffer: GPUBuffer) => gpu.read(buffer, new Uint32Array(ROWS * headDim / 4));
  const scales = (buffer: GPUBuffer) => gpu.read(buffer, new Float32Array(ROWS));
  const valuesBefore = await bytes(cache.values[0]!), scalesBefore = await scales(int8!.valueScales[0]!);

  for (let turn = 1; turn <= TURNS; turn++) {
    gpu.write(count, Uint32Array.of(ROWS - turn));
    const recording = gpu.record();
    recordMove(recording, { cache, slots }, { kept, count }, {
      positions: "compact",
      sinks: SINKS,
      turns: () => turns,
      attributes: [],
    });
    recording.submit();
    if (turn % IN_ONE === 0) await gpu.settled();
  }

  const wrong: string[] = [], values = await bytes(cache.values[0]!), valueScales = await scales(int8!.valueScales[0]!);
  const keys = await bytes(cache.keys[0]!), keyScales = await scales(int8!.keyScales[0]!);
  const biases = await gpu.read(int8!.biases[0]!, new Float32Array(ROWS * 2)), words = headDim / 4;
  for (let slot = 0; slot < LEFT; slot++) {
    const was = slot < SINKS ? slot : slot + TURNS, say = (what: string) => wrong.push(`int8, slot ${slot}: ${what}`);
    if (biases[2 * slot] !== was || biases[2 * slot + 1] !== 0) say(`its bias is ${biases[2 * slot]}, and was ${was}`);
    if (valueScales[slot] !== scalesBefore[was]) say("another scale");
    for (let i = 0; i < words; i++) {
      if (values[slot * words + i] !== valuesBefore[was * words + i]) say(`its value changed in word ${i}`);
    }
    const once = rows.slice(was * headDim, (was + 1) * headDim);
    rope.shift(once, 0, 0, slot - was);
    let apart = 0, length = 0;
    for (let i = 0; i < headDim; i++) {
      const byte = keys[slot * words + (i >> 2)]! >>> 8 * (i & 3) & 255;
      apart += ((byte - 128) * keyScales[slot]! - once[i]!) ** 2;
      length += once[i]! ** 2;
    }
    const part = Math.sqrt(apart / length);
    if (!(part <= (slot < SINKS ? 0.01 : BOUND))) say(`its key is ${part} of its length from one that was turned once`);
  }

  // everything but the sinks and the last slot out of sight, and in sight again
  const memory = { gpu, cache, slots } as unknown as GpuMemory;
  gpu.write(slots.source, Int32Array.from({ length: ROWS }, (_, slot) => slot));
  for (const [first, hidden] of [[LEFT - 1, HIDDEN.f32], [EVERYTHING, 0]] as const) {
    const recording = gpu.record();
    recordNarrowed(recording, memory, first);
    recording.submit();
    const biases = await gpu.read(int8!.biases[0]!, new Float32Array(2 * LEFT));
    const asked = Array.from({ length: LEFT }, (_, slot) => slot >= SINKS && slot < LEFT - 1 ? hidden : 0);
    asked.forEach((bias, slot) => {
      if (biases[2 * slot + 1] !== bias) {
        wrong.push(`int8, from token ${first} on: slot ${slot} has ${biases[2 * slot + 1]}`);
      }
    });
  }
  slots.close();
  cache.close();
  return wrong;
}
