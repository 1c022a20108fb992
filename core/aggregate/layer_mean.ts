/**
 * Mean over the probe's rows and all heads of a layer: every KV head scores a token alike (TOVA, arXiv 2401.06104). Of a token that some heads have
 * evicted, the mean over those that still hold it.
 */
import { MEMORY_SOURCE } from "../cache.ts";
import type { Aggregate, Scores } from "../policy.ts";

export const layerMean = (): Aggregate => ({
  name: "layer-mean",
  rows: ["mean"],
  score(evidence, { cache }) {
    const rows = evidence.score ?? evidence.mean!, { layers, kvHeads } = cache.shape;
    const out = rows.map((row) => row.slice());
    const source = rows.map((_, head) => cache.sources(head)), next = new Int32Array(rows.length);
    for (let layer = 0; layer < layers; layer++) meanByToken(out, source, next, layer * kvHeads, kvHeads);
    return out;
  },
});

/** Walks the heads' slots in document order, all of them at once, and gives every holder of a token the mean. */
function meanByToken(rows: Scores, source: Int32Array[], next: Int32Array, first: number, heads: number): void {
  while (true) {
    let token = Infinity;
    for (let head = first; head < first + heads; head++) {
      // what stands for several tokens belongs to no place, and keeps its score
      while (source[head]![next[head]!] === MEMORY_SOURCE) next[head]!++;
      token = Math.min(token, source[head]![next[head]!] ?? Infinity);
    }
    if (token === Infinity) return;
    let sum = 0, holders = 0;
    for (let head = first; head < first + heads; head++) {
      if (source[head]![next[head]!] !== token) continue;
      sum += rows[head]![next[head]!]!;
      holders++;
    }
    for (let head = first; head < first + heads; head++) {
      if (source[head]![next[head]!] === token) rows[head]![next[head]!++] = sum / holders;
    }
  }
}
