/** Selections of several kernels against `core/select/`: the same slots stay. */
import type { Select } from "../../core/policy.ts";
import { chunks } from "../../core/select/chunks.ts";
import { critical } from "../../core/select/critical.ts";
import { spread } from "../../core/select/spread.ts";
import { topk } from "../../core/select/topk.ts";
import { runCases } from "../../kernels/select/chunk_cases.ts";
import { recordChunks } from "../../kernels/select/chunks.ts";
import { recordCritical } from "../../kernels/select/critical.ts";
import type { Gpu, Numbers } from "../../kernels/gpu.ts";
import type { Recording } from "../../kernels/recording.ts";
import { recordTopK, type SelectionBuffers, type SelectionShape } from "../../kernels/select/selection.ts";
import { recordSpread } from "../../kernels/select/spread.ts";

const tokensRead = 1201;

/** @returns what is wrong */
export async function checkSelection(gpu: Gpu): Promise<string[]> {
  const failures: string[] = [];
  for (const { name, rows, marks, sources, quota, buffers, values } of runCases()) {
    const { heads, stride, LENGTH } = values, shape = { heads, stride };
    // eighths, so that products with them are exact, and ties stay ties
    const norms = rows.map((row) => Float32Array.from(row, (_, i) => 1 + i * 29 % 61 / 8));
    const lent: GPUBuffer[] = [];
    const empty = (length: number) => {
      const one = gpu.borrow(4 * length);
      lent.push(one);
      return one;
    };
    const filled = (data: Numbers) => {
      const one = empty(data.length);
      gpu.write(one, data);
      return one;
    };
    const shared: SelectionBuffers = {
      scores: filled(buffers.scores),
      shielded: filled(buffers.shielded),
      guarded: filled(Uint32Array.from(marks, (row) => row.reduce<number>((sum, one) => sum + one, 0))),
      source: filled(buffers.source),
      start: filled(buffers.start),
      end: filled(buffers.end),
      quota: filled(Uint32Array.from(quota)),
      kept: empty(heads * stride),
      count: empty(heads),
    };
    const valueNorm = new Float32Array(heads * stride);
    norms.forEach((row, head) => valueNorm.set(row, head * stride + buffers.start[head]!));
    const [slots, more, few] = [empty(heads * stride), empty(heads * stride), empty(heads)];
    const parts = [empty(heads * 20), empty(heads * 20), empty(heads * 20), empty(heads * 20)] as const;
    const [partStart, partEnd, partQuota, partCount] = parts;

    const ways: [Select, (recording: Recording, shape: SelectionShape) => void][] = [
      [topk(), (recording) => recordTopK(recording, shared, shape)],
      [critical(), (recording) => {
        const all = { ...shared, valueNorm: filled(valueNorm), final: slots, marked: more, first: few };
        recordCritical(recording, all, shape);
      }],
      [spread(), (recording) => {
        const all = { ...shared, marked: more, partStart, partEnd, partQuota, partCount };
        recordSpread(recording, all, shape, tokensRead);
      }],
      [chunks(LENGTH), (recording) => recordChunks(recording, { ...shared, means: slots }, shape, LENGTH)],
    ];
    for (const [select, record] of ways) {
      const recording = gpu.record();
      record(recording, shape);
      recording.submit();
      const kept = await gpu.read(shared.kept, new Uint32Array(heads * stride));
      const count = await gpu.read(shared.count, new Uint32Array(heads));
      rows.forEach((row, head) => {
        const wanted = select.keep(Float32Array.from(row), {
          quota: quota[head]!,
          protectedSlots: Uint8Array.from(marks[head]!),
          source: Int32Array.from(sources[head]!),
          valueNorm: norms[head]!,
          tokensRead,
        });
        const met = Array.from(
          kept.subarray(head * stride, head * stride + count[head]!),
          (slot) => slot - buffers.start[head]!,
        );
        if (String(met) !== String(wanted)) {
          const first = met.findIndex((slot, i) => slot !== wanted[i]);
          failures.push(
            `selection, ${select.name}, ${name}, head ${head}: ${met.length} slots, the ${first}th is ${met[first]}, ` +
              `not ${wanted[first]} of ${wanted.length}`,
          );
        }
      });
    }
    for (const one of lent) gpu.release(one);
  }
  return failures;
}
