/**
 * Meta-Soft (arXiv 2605.22337): as Judge Q, with rows that a selector mixes for the document at hand: from the mean of its embeddings so far, the newest
 * token and, where it is known and the pack was trained with questions, the question. Differs: they are mixed anew after every chunk, from embeddings
 * alone, which costs no pass; the selector takes what scores highest, without noise; and further rows copy the embeddings of the most salient tokens, of
 * the question where it is heard, else of the document.
 */
import { synthesise } from "../pack/metasoft.ts";
import type { Probe } from "../policy.ts";
import { DocumentMean } from "./document_mean.ts";
import { type MakeRows, softProbe } from "./soft.ts";

export const metasoftRows: MakeRows = ({ packs: { metasoft }, document, questionTokens }) => {
  const { table, hearsQuestion, count, offset, copy } = metasoft!, question = new DocumentMean(table);
  const heard = hearsQuestion ? questionTokens : [];
  question.add(heard);
  const copied = heard.length > 0 ? document!.salientBehind(heard, copy.length) : document!.salient(copy.length);
  const features = [document!.mean(), document!.last, question.mean()] as const;
  return { embeddings: synthesise(metasoft!, features, copied.map((token) => table.of(token).slice())), count, offset };
};

export const metasoft = (): Probe => {
  const probe = softProbe("metasoft", "metasoft", metasoftRows);
  return { ...probe, needs: { ...probe.needs, documentMean: true, questionHelps: true } };
};
