/** Where in a document slots survived, by groups of layers. */
import type { Trace } from "./trace.ts";

/** A group of neighbouring layers. */
export interface LayerGroup {
  /** "layers 1–8" */
  name: string;
  /** Heads of the group. */
  heads: number;
  /** Of every document token, in how many of these heads its slot is still there. */
  kept: Uint16Array;
}

/** Groups from the first layer to the last, behind one of all. @param count groups at most */
export function survival({ kept, layers, document: { first, end } }: Trace, count = 4): LayerGroup[] {
  const length = Math.max(0, end - first), perLayer = kept.length / layers, groups = Math.min(count, layers);
  const group = (name: string, from: number, to: number): LayerGroup => {
    const heads = kept.slice(from * perLayer, to * perLayer), counts = new Uint16Array(length);
    for (const sources of heads) {
      for (const source of sources) if (source >= first && source < end) counts[source - first]!++;
    }
    return { name, heads: heads.length, kept: counts };
  };
  const cuts = Array.from({ length: groups + 1 }, (_, i) => Math.round(i * layers / groups));
  const parts = cuts.slice(1).map((to, i) => {
    const from = cuts[i]!;
    return group(to - from === 1 ? `layer ${to}` : `layers ${from + 1}–${to}`, from, to);
  });
  return groups === 1 ? parts : [group("all layers", 0, layers), ...parts];
}

/** Share of a stretch's slots that are left: of its tokens [from, to) and the group's heads. */
export function share({ kept, heads }: LayerGroup, from: number, to: number): number {
  let sum = 0;
  for (let token = from; token < to; token++) sum += kept[token]!;
  return to > from ? sum / ((to - from) * heads) : 0;
}
