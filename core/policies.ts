/** The named policies and the spelling of free combinations: `probe=question,aggregate=max,select=topk`. */
import { UsageError } from "./errors.ts";
import { nearestName } from "./nearest_name.ts";
import { needs, type Policy, type Probe } from "./policy.ts";
import { mixture } from "./probe/mixture.ts";
import { type Stage, stages } from "./stages.ts";

interface NamedPolicy {
  summary: string;
  paper: string;
  needs: string;
  cost: string;
  stages: { [stage in Stage]: string };
}

const base = { allocate: "uniform", compensate: "drop", recall: "none", decode: "keep" };

/** Raised when any policy would keep other slots than before: saved states of other versions are refused. */
export const POLICIES_VERSION = 1;

/** What `palimpsest policies` shows. */
export const policies: Record<string, NamedPolicy> = {
  question: {
    summary: "The question is forwarded after every chunk and its attention decides; whole spans survive.",
    paper: "own; related: FINCH (TACL 2024)",
    needs: "the question before the document",
    cost: "one pass of the question's tokens per chunk",
    stages: { ...base, probe: "question", aggregate: "max", select: "topk" },
  },
  "question-quote": {
    summary: "As question; then the passages that the question looks at are read again before the answer.",
    paper: "own",
    needs: "the question before the document",
    cost: "one pass of the question's tokens per chunk; up to 300 tokens read twice",
    stages: { ...base, probe: "question", aggregate: "max", select: "topk", recall: "quote" },
  },
  coverage: {
    summary: "As question, with the slots shared equally over the parts of the document, and moment while writing.",
    paper: "own; Moment-KV, arXiv 2605.29873",
    needs: "the instruction before the document",
    cost: "one pass of the instruction's tokens per chunk",
    stages: { ...base, probe: "question", aggregate: "max", select: "spread", decode: "moment" },
  },
  snapkv: {
    summary: "The attention of the last 64 tokens of every chunk, averaged and pooled over 5 neighbours, decides.",
    paper: "SnapKV, arXiv 2404.14469",
    needs: "nothing",
    cost: "the attention of 64 rows per chunk",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk" },
  },
  pyramidkv: {
    summary: "As snapkv, with more slots for lower layers and fewer for higher ones.",
    paper: "PyramidKV, arXiv 2406.02069",
    needs: "nothing",
    cost: "as snapkv",
    stages: { ...base, probe: "window", aggregate: "mean", allocate: "pyramid", select: "topk" },
  },
  "adakv-snapkv": {
    summary: "As snapkv, with the heads of a layer competing for its slots; each keeps a fifth of the budget at least.",
    paper: "AdaKV, arXiv 2407.11550",
    needs: "nothing",
    cost: "as snapkv",
    stages: { ...base, probe: "window", aggregate: "mean", allocate: "ada", select: "topk" },
  },
  "critical-snapkv": {
    summary: "As snapkv, with half of each head's slots chosen by what they can change in the layer's output.",
    paper: "CriticalKV, arXiv 2502.03805",
    needs: "nothing",
    cost: "as snapkv, and the value norms of every chunk",
    stages: { ...base, probe: "window", aggregate: "mean", select: "critical" },
  },
  "critical-adakv-snapkv": {
    summary: "critical-snapkv and adakv-snapkv together.",
    paper: "CriticalKV, arXiv 2502.03805; AdaKV, arXiv 2407.11550",
    needs: "nothing",
    cost: "as critical-snapkv",
    stages: { ...base, probe: "window", aggregate: "mean", allocate: "ada", select: "critical" },
  },
  "critical-question": {
    summary: "As question, with half of each head's slots chosen by what they can change in the layer's output.",
    paper: "CriticalKV, arXiv 2502.03805, with the question as its probe",
    needs: "the question before the document",
    cost: "as question, and the value norms of every chunk",
    stages: { ...base, probe: "question", aggregate: "max", select: "critical" },
  },
  "adakv-expected": {
    summary: "As expected, with the heads of a layer competing for its slots.",
    paper: "AdaKV, arXiv 2407.11550; ExpectedAttention, arXiv 2510.00636",
    needs: "nothing",
    cost: "as expected",
    stages: { ...base, probe: "expected", aggregate: "none", allocate: "ada", select: "topk" },
  },
  "critical-expected": {
    summary: "As expected, with half of each head's slots chosen by what they can change in the layer's output.",
    paper: "CriticalKV, arXiv 2502.03805; ExpectedAttention, arXiv 2510.00636",
    needs: "nothing",
    cost: "as expected, and the value norms of every chunk",
    stages: { ...base, probe: "expected-mass", aggregate: "none", select: "critical" },
  },
  critical: {
    summary:
      "The question asks, the heads of a layer compete, and half of each head's slots are chosen by what they can change.",
    paper: "CriticalKV, arXiv 2502.03805, and AdaKV, arXiv 2407.11550, with the question as their probe",
    needs: "the question before the document",
    cost: "as question, and the value norms of every chunk",
    stages: { ...base, probe: "question", aggregate: "max", allocate: "ada", select: "critical" },
  },
  defensive: {
    summary: "Keeps what some query of the last 32 tokens of a chunk wants badly, not what they want on the mean.",
    paper: "DefensiveKV, arXiv 2510.13334",
    needs: "nothing",
    cost: "as snapkv, and the value norms of every chunk",
    stages: { ...base, probe: "window-32", aggregate: "defensive", allocate: "layer", select: "topk" },
  },
  "layer-defensive": {
    summary: "As defensive, with all heads of all layers competing for one budget.",
    paper: "Layer-DefensiveKV, arXiv 2510.13334",
    needs: "nothing",
    cost: "as defensive",
    stages: { ...base, probe: "window-32", aggregate: "defensive", allocate: "global", select: "topk" },
  },
  chunkkv: {
    summary: "As snapkv, with whole runs of 20 tokens kept.",
    paper: "ChunkKV, arXiv 2502.00299",
    needs: "nothing",
    cost: "as snapkv",
    stages: { ...base, probe: "window", aggregate: "mean", select: "chunks" },
  },
  "question-ada": {
    summary: "As question, with the heads of a layer competing for its slots.",
    paper: "own; AdaKV, arXiv 2407.11550",
    needs: "the question before the document",
    cost: "as question",
    stages: { ...base, probe: "question", aggregate: "max", allocate: "ada", select: "topk" },
  },
  "question-global": {
    summary: "As question, with all heads of all layers competing for one budget.",
    paper: "own; the allocation of KVzip, arXiv 2505.23416",
    needs: "the question before the document",
    cost: "as question",
    stages: { ...base, probe: "question", aggregate: "max", allocate: "global", select: "topk" },
  },
  "snapkv-question": {
    summary: "As snapkv, with the question's tokens asking beside the last 64 of every chunk.",
    paper: "SnapKV, arXiv 2404.14469, with the question as part of its window",
    needs: "the question before the document",
    cost: "as snapkv, and one pass of the question's tokens per chunk",
    stages: { ...base, probe: "window+question", aggregate: "mean", select: "topk" },
  },
  "flow-snapkv": {
    summary: "As snapkv; what is evicted flows into the slots most like it, which then weigh as much as both.",
    paper: "Meta-Soft, arXiv 2605.22337, with mass and bias of our own",
    needs: "nothing",
    cost: "as snapkv, and a product of evicted with kept keys",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk", compensate: "flow" },
  },
  "flow-question": {
    summary: "As question; what is evicted flows into the slots most like it, which then weigh as much as both.",
    paper: "Meta-Soft, arXiv 2605.22337, with mass and bias of our own and the question as its probe",
    needs: "the question before the document",
    cost: "as question, and a product of evicted with kept keys",
    stages: { ...base, probe: "question", aggregate: "max", select: "topk", compensate: "flow" },
  },
  "centroids-snapkv": {
    summary: "As snapkv; up to 64 slots of each head are means of what was evicted, and weigh as much as that did.",
    paper: "CMP of IndexMem++ (follow-up of arXiv 2605.25475), with SnapKV, arXiv 2404.14469",
    needs: "nothing",
    cost: "as snapkv, and a product of evicted keys with 64 centroids",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk", compensate: "centroids" },
  },
  "centroids-question": {
    summary: "As question; up to 64 slots of each head are means of what was evicted, and weigh as much as that did.",
    paper: "CMP of IndexMem++ (follow-up of arXiv 2605.25475), with the question as its probe",
    needs: "the question before the document",
    cost: "as question, and a product of evicted keys with 64 centroids",
    stages: { ...base, probe: "question", aggregate: "max", select: "topk", compensate: "centroids" },
  },
  "merge-snapkv": {
    summary: "As snapkv; every evicted value is blended into the slot whose key points most nearly the same way.",
    paper: "MergingPress of kvpress, after Token Merging, arXiv 2210.09461",
    needs: "nothing",
    cost: "as snapkv, and a product of evicted with kept keys",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk", compensate: "merge" },
  },
  d2o: {
    summary: "As snapkv; evicted slots that are like enough to a kept one are merged into it, keys and values.",
    paper: "D2O, arXiv 2406.13035, with SnapKV's choice and the same budget for all layers",
    needs: "nothing",
    cost: "as snapkv, and a product of evicted with kept keys",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk", compensate: "d2o" },
  },
  cam: {
    summary:
      "As snapkv; evicted values are added to the slots behind them, the more surely the more attention they had.",
    paper: "CaM, ICML 2024, with SnapKV's choice",
    needs: "nothing",
    cost: "as snapkv",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk", compensate: "cam" },
  },
  role: {
    summary:
      "Tokens that stand in the answer's place ask: the start of the assistant's turn and the first words of any answer.",
    paper: "own; the untrained start of Judge Q, arXiv 2509.10798",
    needs: "nothing",
    cost: "one pass of 32 tokens per chunk",
    stages: { ...base, probe: "role", aggregate: "mean-unpooled", select: "topk" },
  },
  judgeq: {
    summary: "As role, with 32 rows that were trained to look where the model's own answers look.",
    paper: "Judge Q, arXiv 2509.10798, trained by KL and asking after every chunk",
    needs: "a pack for the model",
    cost: "one pass of 32 rows per chunk",
    stages: { ...base, probe: "judgeq", aggregate: "mean-unpooled", select: "topk" },
  },
  metasoft: {
    summary: "As judgeq, with rows mixed for the document at hand; what is evicted flows into the slots most like it.",
    paper: "Meta-Soft, arXiv 2605.22337, asking after every chunk, with mass and bias of our own in the flow",
    needs: "a pack for the model; the question helps",
    cost: "as judgeq, and a product of evicted with kept keys",
    stages: { ...base, probe: "metasoft", aggregate: "mean-unpooled", select: "topk", compensate: "flow" },
  },
  lookahead: {
    summary: "After every chunk the first eight tokens of an answer are written, ask, and are forgotten.",
    paper: "Lookahead Q-Cache, arXiv 2505.20334",
    needs: "nothing; the question helps",
    cost: "eight tokens written per chunk",
    stages: { ...base, probe: "lookahead", aggregate: "mean-maxpool", select: "topk" },
  },
  kvzip: {
    summary: "Every chunk is read twice: what repeating it looks at stays.",
    paper: "KVzip, arXiv 2505.23416",
    needs: "nothing",
    cost: "reading twice, with the attention of all rows",
    stages: { ...base, probe: "kvzip", aggregate: "none", allocate: "global", select: "topk" },
  },
  "kvzip-quote": {
    summary: "As kvzip, with as many slots in every head; then the passages that the question looks at are read again.",
    paper: "own; KVzip, arXiv 2505.23416",
    needs: "nothing; the question, when it is asked",
    cost: "as kvzip; up to 300 tokens read twice more",
    stages: { ...base, probe: "kvzip", aggregate: "none", select: "topk", recall: "quote" },
  },
  h2o: {
    summary: "What all queries so far looked at most, on the mean over those that could see it, stays.",
    paper: "H2O, arXiv 2306.14048",
    needs: "nothing",
    cost: "the attention of all rows",
    stages: { ...base, probe: "h2o", aggregate: "none", select: "topk" },
  },
  tova: {
    summary: "What the newest token of every chunk looks at stays, the same tokens in all heads of a layer.",
    paper: "TOVA, arXiv 2401.06104",
    needs: "nothing",
    cost: "the attention of one row per chunk",
    stages: { ...base, probe: "tova", aggregate: "layer-mean", select: "topk" },
  },
  expected: {
    summary: "What queries like those of the last chunk would look at from the next 512 positions stays.",
    paper: "ExpectedAttention, arXiv 2510.00636",
    needs: "nothing",
    cost: "mean and covariance of every chunk's queries, and a product with each",
    stages: { ...base, probe: "expected", aggregate: "none", select: "topk" },
  },
  knorm: {
    summary: "Short keys stay.",
    paper: "L2 norm-based compression, arXiv 2406.11430",
    needs: "nothing",
    cost: "next to none",
    stages: { ...base, probe: "knorm", aggregate: "none", select: "topk" },
  },
  keydiff: {
    summary: "Keys unlike the others of their head stay.",
    paper: "KeyDiff, arXiv 2504.15364",
    needs: "nothing",
    cost: "next to none",
    stages: { ...base, probe: "keydiff", aggregate: "none", select: "topk" },
  },
  lagkv: {
    summary: "Of every 128 tokens, those stay that stand out against the 128 that follow.",
    paper: "LagKV, arXiv 2504.04704",
    needs: "a budget well above 256 slots",
    cost: "next to none",
    stages: { ...base, probe: "lagkv", aggregate: "none", select: "topk" },
  },
  indexer: {
    summary: "A learned score of every slot, asked with every fourth of each chunk's last 128 tokens, decides.",
    paper: "IndexMem, arXiv 2605.25475, without its memory",
    needs: "a pack for the model",
    cost: "a few numbers per slot, and a small product of them",
    stages: { ...base, probe: "indexer", aggregate: "none", select: "topk" },
  },
  "indexer-quote": {
    summary: "As indexer; then the passages that the question looks at are read again before the answer.",
    paper: "IndexMem, arXiv 2605.25475, without its memory; the passages are our own",
    needs: "a pack for the model; the question, when it is asked",
    cost: "as indexer; up to 300 tokens read twice",
    stages: { ...base, probe: "indexer", aggregate: "none", select: "topk", recall: "quote" },
  },
  indexmem: {
    summary: "As indexer; what is evicted is written into a memory of constant size, which attention reads.",
    paper: "IndexMem, arXiv 2605.25475",
    needs: "a pack for the model",
    cost: "as indexer, and two small products per evicted slot and per query",
    stages: { ...base, probe: "indexer", aggregate: "none", select: "topk", compensate: "latent-memory" },
  },
  random: {
    summary: "Chance decides: the baseline that every policy must beat.",
    paper: "-",
    needs: "nothing",
    cost: "none",
    stages: { ...base, probe: "random", aggregate: "none", select: "topk" },
  },
  streaming: {
    summary: "The first four tokens and the newest ones stay: cheap, and forgets the middle.",
    paper: "StreamingLLM, arXiv 2309.17453",
    needs: "nothing",
    cost: "none",
    stages: { ...base, probe: "none", aggregate: "none", select: "topk" },
  },
  moment: {
    summary: "As question; of a long answer, the tokens stay that the newest ones attend to.",
    paper: "Moment-KV, arXiv 2605.29873, with the question as its reader",
    needs: "the question before the document",
    cost: "as question, and the attention to what is written, 1 to 2 % of writing",
    stages: { ...base, probe: "question", aggregate: "max", select: "topk", decode: "moment" },
  },
  "snapkv-moment": {
    summary: "As snapkv, and as moment while writing.",
    paper: "SnapKV, arXiv 2404.14469; Moment-KV, arXiv 2605.29873",
    needs: "nothing",
    cost: "as snapkv and moment",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk", decode: "moment" },
  },
  "streaming-recency": {
    summary: "As streaming, also while writing: the newest written tokens stay.",
    paper: "StreamingLLM, arXiv 2309.17453",
    needs: "nothing",
    cost: "none",
    stages: { ...base, probe: "none", aggregate: "none", select: "topk", decode: "recency" },
  },
  full: {
    summary: "Nothing is evicted; a document longer than the budget is refused.",
    paper: "-",
    needs: "a budget that holds the document",
    cost: "none",
    stages: { ...base, probe: "none", aggregate: "none", select: "topk" },
  },
};

/** What a command takes when no policy is named, and what suits a document that is read before its questions are known; chosen by measurement (README). */
export const defaultPolicies = { ask: "question-quote", summarize: "coverage", agnostic: "kvzip-quote" } as const;

/** What kind of policy it is, by what its stages need: a default of a command, with or without the question, or a baseline. */
export function policyGroup(name: string): "default" | "question" | "agnostic" | "baseline" {
  const policy = parsePolicy(name);
  if (Object.values<string>(defaultPolicies).includes(name)) return "default";
  if (!policy.evicts || policy.probe.blind) return "baseline";
  return needs(policy, "question") ? "question" : "agnostic";
}

/** The shortest `stage=variant` pairs that stand for these stages. */
export function spelling(chosen: { [stage in Stage]: string }): string {
  const base = policies["question"]!.stages, all = Object.keys(stages) as Stage[];
  const different = all.filter((stage) => chosen[stage] !== base[stage]);
  return (different.length > 0 ? different : all.slice(0, 1)).map((stage) => `${stage}=${chosen[stage]}`).join(",");
}

/** @param spec a policy's name, or `stage=variant` pairs. @throws {UsageError} naming what would work */
export function parsePolicy(spec: string): Policy {
  if (!spec.includes("=")) {
    const named = Object.hasOwn(policies, spec) ? policies[spec] : undefined;
    if (!named) {
      const near = nearestName(spec, Object.keys(policies));
      throw new UsageError(
        `Unknown policy "${spec}": ${
          near ? `did you mean ${near}? ` : ""
        }use a name that "palimpsest policies" lists, ` +
          `such as ${defaultPolicies.ask} or snapkv, or stage=variant pairs such as probe=window,aggregate=mean`,
      );
    }
    return build(spec, named.stages, spec !== "full");
  }
  const chosen = { ...policies["question"]!.stages }, spelled = new Set<string>();
  for (const pair of spec.split(",")) {
    const [stage = "", ...rest] = pair.split("=").map((part) => part.trim());
    const variant = rest.join("=");
    if (!Object.hasOwn(stages, stage)) {
      throw new UsageError(
        `Unknown stage "${stage}" in policy "${spec}": stages are ${Object.keys(stages).join(", ")}`,
      );
    }
    if (spelled.has(stage)) throw new UsageError(`Policy "${spec}" names its ${stage} twice: name each stage once`);
    spelled.add(stage);
    const variants = Object.keys(stages[stage as Stage]);
    const parts = stage === "probe" ? variant.split("+") : [variant];
    if (!parts.every((part) => variants.includes(part))) {
      const near = nearestName(variant, variants);
      throw new UsageError(
        `Unknown ${stage} "${variant}" in policy "${spec}": ${near ? `did you mean ${near}? ` : ""}use ${
          variants.join(", ")
        }`,
      );
    }
    chosen[stage as Stage] = variant;
  }
  return build(spec, chosen, true);
}

function build(name: string, chosen: { [stage in Stage]: string }, evicts: boolean): Policy {
  const make = <S extends Stage>(stage: S) => {
    const variants = stages[stage] as Record<string, () => unknown>;
    return variants[chosen[stage]]!();
  };
  return {
    name,
    evicts,
    probe: makeProbe(name, chosen.probe),
    aggregate: make("aggregate"),
    allocate: make("allocate"),
    select: make("select"),
    compensate: make("compensate"),
    recall: make("recall"),
    decode: make("decode"),
  } as Policy;
}

/** A probe, or the mixture of two: `question+role`. @throws {UsageError} for two that cannot be mixed */
function makeProbe(spec: string, variant: string): Probe {
  const [first, second, ...more] = variant.split("+").map((part) => stages.probe[part as keyof typeof stages.probe]());
  if (!second) return first!;
  const mixed = more.length === 0 ? mixture(first!, second) : null;
  if (mixed) return mixed;
  throw new UsageError(
    `Cannot mix the probes "${variant}" in policy "${spec}": two different ones that ask with attention can be mixed, ` +
      "and only one of them in the chunk's own pass, such as question+role or window+question",
  );
}
