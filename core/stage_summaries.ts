/** One line about every variant of every stage, for `palimpsest policies --stages`: what it does, and the paper where it has one. */
import type { Stage, stages } from "./stages.ts";

/** Of each stage, what it decides; of each variant, what it does. Complete by type: a variant without a line does not compile. */
export const stageSummaries: { [S in Stage]: { asks: string; variants: Record<keyof (typeof stages)[S], string> } } = {
  probe: {
    asks: "which queries ask the memory what matters? Two that ask with attention can be mixed: question+role",
    variants: {
      question: "the question's tokens, forwarded after every chunk (own; close to FINCH, TACL 2024)",
      window: "the last 64 tokens of every chunk (SnapKV, arXiv 2404.14469)",
      "window-32": "the last 32 (the window of SnapKV's and DefensiveKV's papers)",
      none: "nothing: newer slots score higher (StreamingLLM, arXiv 2309.17453)",
      role:
        "the start of the assistant's turn and the first words of any answer (own; after Judge Q, arXiv 2509.10798)",
      judgeq: "rows trained to ask what the model's own answers ask (Judge Q, arXiv 2509.10798)",
      metasoft: "rows mixed for the document at hand by a trained selector (Meta-Soft, arXiv 2605.22337)",
      lookahead: "the first eight tokens of an answer, written and forgotten (Lookahead Q-Cache, arXiv 2505.20334)",
      kvzip: "every chunk, asked to repeat itself (KVzip, arXiv 2505.23416)",
      tova: "the last token of every chunk (TOVA, arXiv 2401.06104)",
      h2o: "every token so far, per query that could see the slot (H2O, arXiv 2306.14048)",
      expected: "queries as they are to be expected at the next 512 positions (ExpectedAttention, arXiv 2510.00636)",
      "expected-mass": "as expected, without the value's length: for select=critical",
      knorm: "nobody: short keys score high (arXiv 2406.11430)",
      keydiff: "nobody: keys unlike the others of their head score high (KeyDiff, arXiv 2504.15364)",
      lagkv: "nobody: what stands out against the 128 tokens that follow scores high (LagKV, arXiv 2504.04704)",
      indexer: "the last 128 tokens of every chunk, with learned index queries and keys (IndexMem, arXiv 2605.25475)",
      random: "nobody: chance",
    },
  },
  aggregate: {
    asks: "how do many queries become one score per slot?",
    variants: {
      max: "maximum over queries, heads of a group and 10 neighbours on each side: whole spans (own)",
      mean: "mean over queries and heads of a group, then over 5 neighbours (SnapKV, arXiv 2404.14469)",
      none: "as it is: for probes that give one number per slot",
      defensive: "the worst case over queries, weighed by value norms (DefensiveKV, arXiv 2510.13334)",
      "mean-unpooled": "mean over queries and heads of a group, every slot for itself",
      "mean-maxpool": "mean over queries and heads of a group, then the maximum of 7 neighbours",
      "layer-mean": "mean over all heads of a layer, which then keep the same tokens (TOVA, arXiv 2401.06104)",
    },
  },
  allocate: {
    asks: "how many slots does each layer and head get?",
    variants: {
      uniform: "all the same",
      pyramid: "lower layers more, higher ones fewer (PyramidKV, arXiv 2406.02069)",
      ada: "the heads of a layer compete; each is sure of a fifth (AdaKV, arXiv 2407.11550)",
      layer: "as ada, and none is sure of anything (DefensiveKV, arXiv 2510.13334)",
      global: "all heads of all layers compete; each is sure of a fifth (KVzip, Layer-DefensiveKV)",
    },
  },
  select: {
    asks: "which slots of a head stay?",
    variants: {
      topk: "the highest scores",
      spread: "half by score within 20 equal parts of the document, the rest by score anywhere (own)",
      critical: "half by score, the rest by score times value norm (CriticalKV, arXiv 2502.03805)",
      chunks: "whole runs of 20 tokens (ChunkKV, arXiv 2502.00299)",
    },
  },
  compensate: {
    asks: "what becomes of what the evicted slots knew?",
    variants: {
      drop: "it is gone",
      flow: "values flow into similar kept slots, which then weigh more (after Meta-Soft, arXiv 2605.22337)",
      "flow-convex": "as flow, blended in by weight, without more weight afterwards",
      "flow-add": "as flow, a tenth added; measured worse than drop",
      centroids: "up to 64 slots are means of what was evicted, and weigh as much (IndexMem++)",
      merge: "values are blended into the slot with the most similar key (kvpress's MergingPress)",
      d2o: "keys and values are merged into a kept slot where it is similar enough (D2O, arXiv 2406.13035)",
      cam: "values are added to the kept slots behind them, by chance (CaM, ICML 2024)",
      "latent-memory":
        "it is written into a memory of constant size, which attention reads (IndexMem, arXiv 2605.25475)",
    },
  },
  recall: {
    asks: "what is read again before the answer?",
    variants: {
      none: "nothing",
      quote: "up to three passages that the question looks at most (own)",
    },
  },
  decode: {
    asks: "which written tokens stay while an answer is written? All but keep hold --decode-budget",
    variants: {
      keep: "all of them",
      recency: "the newest (StreamingLLM, arXiv 2309.17453)",
      h2o: "half the newest, half what got the most attention (H2O, arXiv 2306.14048)",
      tova: "what the last token attends to (TOVA, arXiv 2401.06104)",
      rkv: "what the last 8 tokens attend to, less what repeats other keys (R-KV, arXiv 2505.24133)",
      moment: "what gets attention, older attention counting less (Moment-KV, arXiv 2605.29873)",
      "moment-recent": "half the newest, half as moment with a longer memory (own)",
    },
  },
};
