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
  question: { kl: [0.113, 0.0116], cost: 0.089 },
  "question-quote": { kl: [0.113, 0.0116], cost: 0.106 },
  coverage: { cost: 0.13 },
  snapkv: { kl: [0.0593, 0.0153], cost: 0.053 },
  pyramidkv: { kl: [0.077, 0.00969], cost: 0.046 },
  "adakv-snapkv": { kl: [0.0512, 0.00676], cost: 0.032 },
  "critical-snapkv": { kl: [0.042, 0.00472], cost: 0.161 },
  "critical-adakv-snapkv": { kl: [0.0439, 0.00434], cost: 0.154 },
  "critical-question": { kl: [0.0975, 0.0112], cost: 0.122 },
  "adakv-expected": { kl: [0.0789, 0.0168], cost: 0.136 },
  "critical-expected": { kl: [0.0562, 0.00782], cost: 0.138 },
  critical: { kl: [0.0905, 0.00497], cost: 0.117 },
  defensive: { kl: [0.0561, 0.00937], cost: 0.136 },
  "layer-defensive": { kl: [0.0387, 0.00494], cost: 0.114 },
  chunkkv: { kl: [0.0573, 0.00988], cost: 0.063 },
  "question-ada": { kl: [0.0993, 0.00859], cost: 0.096 },
  "question-global": { kl: [0.122, 0.0171], cost: 0.096 },
  "snapkv-question": { kl: [0.0516, 0.00623], cost: 0.112 },
  "flow-snapkv": { kl: [0.0504, 0.0113], cost: 0.112 },
  "flow-question": { kl: [0.099, 0.0136], cost: 0.134 },
  "centroids-snapkv": { kl: [0.0454, 0.00671], cost: 0.108 },
  "centroids-question": { kl: [0.107, 0.0164], cost: 0.138 },
  "merge-snapkv": { kl: [0.0481, 0.00564], cost: 0.134 },
  d2o: { kl: [0.058, 0.00718], cost: 0.126 },
  cam: { kl: [0.144, 0.0225], cost: 0.13 },
  role: { kl: [0.133, 0.0427], cost: 0.085 },
  lookahead: { kl: [0.0836, 0.0127], cost: 0.246 },
  kvzip: { kl: [0.0702, 0.00648], cost: 0.565 },
  "kvzip-quote": { kl: [0.156, 0.0154], cost: 0.562 },
  h2o: { kl: [0.0496, 0.00667], cost: 0.277 },
  tova: { kl: [0.0549, 0.00766], cost: 0.024 },
  expected: { kl: [0.0583, 0.0069], cost: 0.131 },
  knorm: { kl: [0.209, 0.0626], cost: 0.066 },
  keydiff: { kl: [0.18, 0.0274], cost: 0.074 },
  lagkv: { kl: [0.0741, 0.0082], cost: 0.127 },
  random: { kl: [0.157, 0.0262], cost: 0.047 },
  streaming: { kl: [0.0741, 0.0082], cost: 0.026 },
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
