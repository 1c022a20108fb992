/**
 * Judge Q (arXiv 2509.10798): rows trained so that their attention over the document is that of the model's own answers. Differs: they ask after every
 * chunk, as the cache is compressed while the document is read; ours were trained by KL over the document's slots, not by the paper's squared error.
 */
import type { Probe } from "../policy.ts";
import { type MakeRows, softProbe } from "./soft.ts";

export const judgeqRows: MakeRows = ({ packs: { judgeq } }) => ({
  embeddings: judgeq!.tokens,
  count: judgeq!.count,
  offset: judgeq!.offset,
});

export const judgeq = (): Probe => softProbe("judgeq", "judgeq", judgeqRows);
