/** GPU forms of `core/select/`: which slots stay? */
import { recordChunks } from "../select/chunks.ts";
import { recordCritical } from "../select/critical.ts";
import { recordTopK, type SelectionBuffers } from "../select/selection.ts";
import { recordSpread } from "../select/spread.ts";
import type { Compaction } from "./compaction.ts";

/** Fills `kept` and `count` of the buffers. */
type Keep = (compaction: Compaction, buffers: SelectionBuffers) => void;

/** Equal parts of a document over which `spread` spreads (`core/select/spread.ts`). */
const PARTS = 20;

/** @param options as `critical`'s of `core/select/critical.ts` */
export const critical =
  (options: { firstStage?: number; epsilon?: number } = {}): Keep =>
  ({ recording, shape, memory: { slots } }, buffers) =>
    recordCritical(
      recording,
      {
        ...buffers,
        valueNorm: slots.perSlot("attribute.valueNorm"),
        final: slots.perSlot("select.final"),
        marked: slots.perSlot("select.marked"),
        first: slots.perHead("select.first"),
      },
      shape,
      options,
    );

/** By the variant's name. */
export const selectForms: Record<string, Keep> = {
  topk: ({ recording, shape }, buffers) => recordTopK(recording, buffers, shape),
  critical: critical(),
  chunks: ({ recording, shape, memory: { slots } }, buffers) =>
    recordChunks(recording, { ...buffers, means: slots.perSlot("select.final") }, shape),
  spread: ({ recording, shape, memory: { slots }, moment: { tokensRead } }, buffers) => {
    const part = (name: string) => slots.array(`spread.${name}`, 4 * shape.heads * PARTS);
    recordSpread(
      recording,
      {
        ...buffers,
        marked: slots.perSlot("select.marked"),
        partStart: part("start"),
        partEnd: part("end"),
        partQuota: part("quota"),
        partCount: part("count"),
      },
      shape,
      tokensRead,
      { parts: PARTS },
    );
  },
};
