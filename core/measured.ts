/**
 * What the named policies measured with SmolLM2-135M-Instruct (Q4_1) on two cores of an AMD EPYC. Written by `npm run costs -- --write` and
 * `bun bench/compensate.ts --write`, not by hand; the README's tables must say the same.
 */
export interface Measured {
  /**
   * How far the next tokens of prose drift from the full cache's with a quarter of the document kept: KL divergence in nats per token, mean and standard
   * error over stretches of 1,024 tokens that were read in chunks of 256.
   */
  kl?: [mean: number, error: number];
  /** Share of the time to read 4,096 tokens at a budget of 1,024, in chunks of 512, that the policy takes; 0 to 1. */
  cost?: number;
}

export const measured: { [policy: string]: Measured } = {
  question: { cost: 0.089 },
  "question-quote": { cost: 0.09 },
  coverage: { cost: 0.13 },
  snapkv: { cost: 0.054 },
  pyramidkv: { cost: 0.046 },
  "adakv-snapkv": { cost: 0.032 },
  "critical-snapkv": { cost: 0.126 },
  "critical-adakv-snapkv": { cost: 0.132 },
  "critical-question": { cost: 0.151 },
  "adakv-expected": { cost: 0.109 },
  "critical-expected": { cost: 0.184 },
  critical: { cost: 0.15 },
  defensive: { cost: 0.139 },
  "layer-defensive": { cost: 0.136 },
  chunkkv: { cost: 0.063 },
  "question-ada": { cost: 0.096 },
  "question-global": { cost: 0.096 },
  "snapkv-question": { cost: 0.112 },
  "flow-snapkv": { cost: 0.172 },
  "flow-question": { cost: 0.223 },
  "centroids-snapkv": { cost: 0.19 },
  "centroids-question": { cost: 0.222 },
  "merge-snapkv": { cost: 0.169 },
  d2o: { cost: 0.168 },
  cam: { cost: 0.13 },
  role: { cost: 0.085 },
  lookahead: { cost: 0.246 },
  kvzip: { cost: 0.565 },
  "kvzip-quote": { cost: 0.562 },
  h2o: { cost: 0.277 },
  tova: { cost: 0.024 },
  expected: { cost: 0.122 },
  knorm: { cost: 0.066 },
  keydiff: { cost: 0.074 },
  lagkv: { cost: 0.127 },
  random: { cost: 0.047 },
  streaming: { cost: 0.01 },
  moment: { cost: 0.104 },
  "snapkv-moment": { cost: 0.061 },
  "streaming-recency": { cost: 0.026 },
};

/** "0.038 ± 0.006" and "4 %", of what was measured. */
export function measuredCells(name: string): { kl?: string; cost?: string } {
  const { kl, cost } = measured[name] ?? {};
  return {
    ...(kl ? { kl: kl.map((value) => value.toFixed(3)).join(" ± ") } : {}),
    ...(cost === undefined ? {} : { cost: `${(100 * cost).toFixed(0)} %` }),
  };
}

/** "KL 0.038 ± 0.006 at 25 %, 4 % of reading"; empty where nothing was measured. */
export function measuredRow(name: string): string {
  const { kl, cost } = measuredCells(name);
  return [...(kl ? [`KL ${kl} at 25 %`] : []), ...(cost ? [`${cost} of reading`] : [])].join(", ");
}
