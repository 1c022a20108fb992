/** Rows that a pass wrote become slots: each gets its token, its position and an empty memory. */
import { advance } from "../forward/advance.ts";
import { fillRows } from "../forward/fill_rows.ts";
import { labelRows } from "../forward/label_rows.ts";
import type { Recording } from "../recording.ts";
import type { GpuMemory } from "./compaction.ts";

/** @param rows how many, the first one's token and its position @param attributes what a policy remembers of every slot, [heads, stride] each */
export function recordLabels(
  recording: Recording,
  { cache, slots }: Pick<GpuMemory, "cache" | "slots">,
  rows: { count: number; source: number; position: number },
  attributes: readonly GPUBuffer[],
): void {
  const { end, source, position } = slots, of = { heads: cache.heads, stride: cache.capacity, count: rows.count };
  labelRows.record(recording, { end, source, position }, {
    ...of,
    firstSource: rows.source,
    firstPosition: rows.position,
  });
  for (const pool of attributes) fillRows.record(recording, { end, pool }, { ...of, value: 0 });
  advance.record(recording, { end }, of);
}
