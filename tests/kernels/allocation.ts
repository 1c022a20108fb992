/** Quotas chosen on the device against `core/allocate/`. */
import { ada } from "../../core/allocate/ada.ts";
import { count, safeguard } from "../../core/allocate/across.ts";
import { global } from "../../core/allocate/global.ts";
import { layer } from "../../core/allocate/layer.ts";
import type { StageContext } from "../../core/policy.ts";
import { ODD_SCORES, ragged, scores } from "../../kernels/cases/cases.ts";
import type { Gpu, Numbers } from "../../kernels/gpu.ts";
import { quotaScratch, recordQuotas } from "../../kernels/allocate/quotas.ts";

const shape = { layers: 2, kvHeads: 3, headDim: 4 }, heads = 6, lengths = [700, 123, 701, 64, 900, 333];

const allocators = [
  { policy: ada(), share: 0.2, together: shape.kvHeads },
  { policy: layer(), share: 0, together: shape.kvHeads },
  { policy: global(), share: 0.2, together: heads },
];

/** @returns what is wrong */
export async function checkAllocation(gpu: Gpu): Promise<string[]> {
  const failures: string[] = [];
  for (
    const [name, rows] of [
      ["ragged", lengths.map((n, head) => scores(n, head))],
      ["one head far above", lengths.map((n, head) => scores(n, 1).map((x) => x + (head === 4 ? 1e9 : 0)))],
      ["all equal", lengths.map((n) => Array(n).fill(0.25))],
      ["many ties", lengths.map((n, head) => Array.from({ length: n }, (_, i) => i * (head + 3) % 5))],
      ["hard to order", lengths.map((n) => Array.from({ length: n }, (_, i) => ODD_SCORES[i % ODD_SCORES.length]!))],
    ] as const
  ) {
    for (const budget of [37, 200, 470, 900]) {
      for (const mostSlots of [Infinity, 400, 30]) {
        const marks = lengths.map((n) => Uint8Array.from({ length: n }, (_, i) => i < 4 || i >= n - 32 ? 1 : 0));
        const context = { cache: { shape }, budget, mostSlots, protectedSlots: marks } as unknown as StageContext;
        for (const { policy, share, together } of allocators) {
          const wanted = policy.quotas(rows.map((row) => Float32Array.from(row)), context);
          const met = await onDevice(gpu, rows, marks, {
            together,
            budget,
            mostSlots,
            floor: safeguard(budget, share),
          });
          if (String(met) !== String(wanted)) {
            failures.push(
              `quotas, ${policy.name}, ${name}, budget ${budget}, most ${mostSlots}: ${met}, not ${wanted}`,
            );
          }
        }
      }
    }
  }
  return failures;
}

async function onDevice(
  gpu: Gpu,
  rows: readonly number[][],
  marks: Uint8Array[],
  values: { together: number; budget: number; mostSlots: number; floor: number },
): Promise<Uint32Array> {
  const { stride, start, end, place } = ragged(lengths, shape.kvHeads), lent: GPUBuffer[] = [];
  const buffer = (bytes: number) => {
    const one = gpu.borrow(bytes);
    lent.push(one);
    return one;
  };
  const filled = (data: Numbers) => {
    const one = buffer(data.byteLength);
    gpu.write(one, data);
    return one;
  };
  const scratch = quotaScratch(heads), quota = buffer(4 * heads);
  const recording = gpu.record();
  recordQuotas(recording, {
    scores: filled(place([...rows], 1e9)),
    shielded: filled(Uint32Array.from(place(marks, 1))),
    guarded: filled(Uint32Array.from(marks, count)),
    start: filled(start),
    end: filled(end),
    atLeast: buffer(scratch.atLeast),
    prefix: buffer(scratch.prefix),
    quota,
  }, { heads, stride, ...values });
  recording.submit();
  const met = await gpu.read(quota, new Uint32Array(heads));
  for (const one of lent) gpu.release(one);
  return met;
}
