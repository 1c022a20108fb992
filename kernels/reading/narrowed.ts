/** Everything but the sinks and a stretch of the prompt out of sight, for the while: `KvCache.narrowed`. */
import { computedIn, HIDDEN } from "../../core/gpu_cache.ts";
import { SINKS } from "../../core/policy.ts";
import { EVERYTHING, narrow } from "../compact/narrow.ts";
import type { Recording } from "../recording.ts";
import type { GpuMemory } from "./compaction.ts";
import { hidingColumn } from "./rows.ts";

/** Passes and askings that follow see only the sinks and slots of tokens from `firstSource` on. One dispatch per layer. */
export function recordNarrowed(recording: Recording, { cache, slots, latent }: GpuMemory, firstSource: number): void {
  if (!cache.wide) throw new Error("A cache whose slots have no bias cannot be narrowed: open it as `isWide` says");
  // a latent memory may know of anything
  if (latent) latent.visible = firstSource <= 0;
  if (firstSource === EVERYTHING) cache.sliding?.restore();
  else cache.sliding?.narrow(firstSource);
  const { source, start, end } = slots, { layers, kvHeads } = cache.shape;
  for (let layer = 0; layer < layers; layer++) {
    const { pool, ...column } = hidingColumn(cache, layer);
    narrow.record(recording, { source, start, end, pool }, {
      firstHead: layer * kvHeads,
      kvHeads,
      stride: cache.capacity,
      sinks: SINKS,
      firstSource,
      hidden: HIDDEN[computedIn(cache.type)],
      ...column,
    });
  }
}

/** Everything is in sight again. */
export function recordWhole(recording: Recording, memory: GpuMemory): void {
  recordNarrowed(recording, memory, EVERYTHING);
}
