/** Written slots: cases of the decode kernels, and a cache as the functions of `core/decode/` want it. */
import { KvCache } from "../../core/cache.ts";
import type { Numbers } from "../gpu.ts";

/** Heads of two layers; the last `written` slots of each were written. */
export interface Written {
  name: string;
  stride: number;
  heads: number;
  /** Heads of a layer. */
  kvHeads: number;
  start: Uint32Array<ArrayBuffer>;
  end: Uint32Array<ArrayBuffer>;
  written: number;
}

export function writings(): Written[] {
  const of = (name: string, stride: number, kvHeads: number, written: number, runs: [number, number][]): Written => ({
    name,
    stride,
    heads: runs.length,
    kvHeads,
    start: Uint32Array.from(runs, ([start]) => start),
    end: Uint32Array.from(runs, ([, end]) => end),
    written,
  });
  return [
    of("one token, nothing read", 1, 1, 1, [[0, 1], [0, 1]]),
    of("nothing written", 9, 1, 0, [[0, 9], [3, 3]]),
    of("up to the last slot", 300, 2, 33, [[0, 300], [250, 300], [267, 300], [0, 40]]),
    of("more than a workgroup", 400, 3, 275, [[0, 400], [1, 277], [9, 300], [125, 400], [0, 275], [0, 300]]),
  ];
}

/** A cache with these live slots, its `momentum` and, where they are given, its keys [live, headDim] per head. */
export function writtenCache(
  { start, end, momentum }: Record<"start" | "end" | "momentum", Numbers>,
  { heads, stride, share }: { heads: number; stride: number; share: number },
  headDim = 1,
  keys?: (head: number) => Float32Array,
): KvCache {
  const cache = new KvCache({ layers: heads / share, kvHeads: share, headDim }, stride, ["momentum"]);
  for (let head = 0; head < heads; head++) {
    cache.live[head] = end[head]! - start[head]!;
    const run = head * stride;
    cache.attribute("momentum", head).set(momentum.subarray(run + start[head]!, run + end[head]!));
    if (keys) cache.keyRows(head).set(keys(head));
  }
  return cache;
}
