/** What recall asks of a GPU's cache: once before the answer, source tokens and the mass of a question come back to the CPU. */
import type { RecallContext } from "../../core/policy.ts";
import type { Compaction } from "./compaction.ts";

/** Numbers of all heads' live slots, read back. */
export async function liveOf<T extends Float32Array<ArrayBuffer> | Int32Array<ArrayBuffer>>(
  { gpu, slots }: Compaction["memory"],
  array: GPUBuffer,
  into: T,
): Promise<T[]> {
  const { heads, stride } = slots;
  const start = await gpu.read(slots.start, new Uint32Array(heads)),
    end = await gpu.read(slots.end, new Uint32Array(heads));
  const all = await gpu.read(array, into);
  return Array.from(
    { length: heads },
    (_, head) => all.subarray(head * stride + start[head]!, head * stride + end[head]!) as T,
  );
}

/** How the CPU's variant asks. @param begin starts a look at the cache as it is */
export function asking(begin: () => Compaction): RecallContext["ask"] {
  return async (tokens) => {
    const compaction = begin(), { memory } = compaction;
    const { max } = await compaction.askWith(tokens, ["max"], "mass.recall");
    compaction.submit();
    return await liveOf(memory, max!, new Float32Array(memory.slots.heads * memory.slots.stride));
  };
}
