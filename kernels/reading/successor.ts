/** What comes back of the logits of a pass's last token, which stay on the GPU: all of them, or only the likeliest token's id. */
import { argmax } from "../decode/argmax.ts";
import type { GpuMemory } from "./compaction.ts";

/** @param logits float32 [vocab] */
export type Take<T> = (memory: GpuMemory, logits: GPUBuffer) => Promise<T>;

/** The whole row. */
export const logitsOf: Take<Float32Array> = ({ gpu, engine }, logits) =>
  gpu.read(logits, new Float32Array(engine.config.vocab));

/** The id of the largest, the first of equals: 4 bytes. */
export const likeliestOf: Take<number> = async ({ gpu, engine, slots }, logits) => {
  const recording = gpu.record(), ids = slots.array("likeliest", 4);
  argmax.record(recording, { logits, ids }, { rows: 1, vocab: engine.config.vocab });
  recording.submit();
  const [id] = await gpu.read(ids, new Uint32Array(1));
  return id!;
};
