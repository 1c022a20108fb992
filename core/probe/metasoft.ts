/**
 * Meta-Soft (arXiv 2605.22337): as Judge Q, with rows that a selector mixes for the document at hand: from the mean of its embeddings so far, the newest
 * token and, where it is known, the question. Differs: they are mixed anew after every chunk, from embeddings alone, which costs no pass; the selector takes
 * what scores highest, without noise.
 */
import { synthesise } from "../pack/metasoft.ts";
import type { Probe } from "../policy.ts";
import { type MakeRows, softProbe, softProbeInside } from "./soft.ts";

export const metasoftRows: MakeRows = ({ packs, document, questionTokens }) => {
  const { table, hidden, count, offset } = packs.metasoft!, pack = packs.metasoft!;
  const sum = new Float64Array(hidden);
  table.addTo(sum, questionTokens);
  const question = Float32Array.from(sum, (value) => value / Math.max(1, questionTokens.length));
  return { embeddings: synthesise(pack, [document!.mean(), document!.last, question]), count, offset };
};

const needing = (probe: Probe): Probe => ({ ...probe, needs: { ...probe.needs, documentMean: true } });

export const metasoft = (): Probe => needing(softProbe("metasoft", "metasoft", metasoftRows));

/** The same in the chunk's own pass. */
export const metasoftInside = (): Probe => needing(softProbeInside("metasoft-inside", "metasoft", metasoftRows));
