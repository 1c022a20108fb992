/** The named policies and the spelling of free combinations: `probe=question,aggregate=max,select=topk`. */
import { UsageError } from "./errors.ts";
import type { Policy } from "./policy.ts";
import { type Stage, stages } from "./stages.ts";

interface NamedPolicy {
  summary: string;
  paper: string;
  needs: string;
  cost: string;
  stages: { [stage in Stage]: string };
}

const base = { allocate: "uniform", compensate: "drop", decode: "keep" };

/** What `palimpsest policies` shows. */
export const policies: Record<string, NamedPolicy> = {
  question: {
    summary:
      "The question is forwarded after every chunk and its attention decides; whole spans survive. Default of ask.",
    paper: "own; related: FINCH (TACL 2024)",
    needs: "the question before the document",
    cost: "one pass of the question's tokens per chunk",
    stages: { ...base, probe: "question", aggregate: "max", select: "topk" },
  },
  coverage: {
    summary: "As question, with the slots shared equally over the parts of the document. Default of summarize.",
    paper: "own",
    needs: "the instruction before the document",
    cost: "one pass of the instruction's tokens per chunk",
    stages: { ...base, probe: "question", aggregate: "max", select: "spread" },
  },
  snapkv: {
    summary: "The attention of the last 64 tokens of every chunk, averaged and pooled over 5 neighbours, decides.",
    paper: "SnapKV, arXiv 2404.14469",
    needs: "nothing",
    cost: "the attention of 64 rows per chunk",
    stages: { ...base, probe: "window", aggregate: "mean", select: "topk" },
  },
  streaming: {
    summary: "The first four tokens and the newest ones stay: cheap, and forgets the middle.",
    paper: "StreamingLLM, arXiv 2309.17453",
    needs: "nothing",
    cost: "none",
    stages: { ...base, probe: "none", aggregate: "none", select: "topk" },
  },
  full: {
    summary: "Nothing is evicted; a document longer than the budget is refused.",
    paper: "-",
    needs: "a budget that holds the document",
    cost: "none",
    stages: { ...base, probe: "none", aggregate: "none", select: "topk" },
  },
};

/** @param spec a policy's name, or `stage=variant` pairs. @throws {UsageError} naming what would work */
export function parsePolicy(spec: string): Policy {
  if (!spec.includes("=")) {
    const named = Object.hasOwn(policies, spec) ? policies[spec] : undefined;
    if (!named) {
      throw new UsageError(
        `Unknown policy "${spec}": use ${
          Object.keys(policies).join(", ")
        }, or stage=variant pairs such as probe=window,aggregate=mean`,
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
    if (!variants.includes(variant)) {
      throw new UsageError(`Unknown ${stage} "${variant}" in policy "${spec}": use ${variants.join(", ")}`);
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
    probe: make("probe"),
    aggregate: make("aggregate"),
    allocate: make("allocate"),
    select: make("select"),
    compensate: make("compensate"),
    decode: make("decode"),
  } as Policy;
}
