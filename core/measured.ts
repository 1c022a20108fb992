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
  question: { kl: [0.118, 0.0124], cost: 0.089 },
  "question-quote": { kl: [0.118, 0.0124], cost: 0.106 },
  coverage: { cost: 0.13 },
  snapkv: { kl: [0.0628, 0.015], cost: 0.053 },
  pyramidkv: { kl: [0.0782, 0.0102], cost: 0.046 },
  "adakv-snapkv": { kl: [0.0492, 0.00513], cost: 0.032 },
  "critical-snapkv": { kl: [0.0484, 0.00687], cost: 0.126 },
  "critical-adakv-snapkv": { kl: [0.0476, 0.00466], cost: 0.132 },
  "critical-question": { kl: [0.0984, 0.00745], cost: 0.161 },
  "adakv-expected": { kl: [0.0775, 0.0152], cost: 0.109 },
  "critical-expected": { kl: [0.0567, 0.00704], cost: 0.178 },
  critical: { kl: [0.0883, 0.00403], cost: 0.15 },
  defensive: { kl: [0.054, 0.00698], cost: 0.139 },
  "layer-defensive": { kl: [0.0442, 0.0049], cost: 0.136 },
  chunkkv: { kl: [0.0646, 0.0111], cost: 0.063 },
  "question-ada": { kl: [0.104, 0.00862], cost: 0.096 },
  "question-global": { kl: [0.122, 0.0129], cost: 0.096 },
  "snapkv-question": { kl: [0.052, 0.00613], cost: 0.112 },
  "flow-snapkv": { kl: [0.0418, 0.00497], cost: 0.112 },
  "flow-question": { kl: [0.104, 0.0131], cost: 0.134 },
  "centroids-snapkv": { kl: [0.0458, 0.00531], cost: 0.108 },
  "centroids-question": { kl: [0.106, 0.0155], cost: 0.138 },
  "merge-snapkv": { kl: [0.0481, 0.00533], cost: 0.134 },
  d2o: { kl: [0.0598, 0.00771], cost: 0.126 },
  cam: { kl: [0.141, 0.0207], cost: 0.13 },
  role: { kl: [0.136, 0.0412], cost: 0.085 },
  lookahead: { kl: [0.0846, 0.0107], cost: 0.246 },
  kvzip: { kl: [0.07, 0.00705], cost: 0.565 },
  "kvzip-quote": { kl: [0.153, 0.0155], cost: 0.562 },
  h2o: { kl: [0.0488, 0.00687], cost: 0.277 },
  tova: { kl: [0.0579, 0.00749], cost: 0.024 },
  expected: { kl: [0.0605, 0.00588], cost: 0.122 },
  knorm: { kl: [0.212, 0.0616], cost: 0.066 },
  keydiff: { kl: [0.181, 0.0267], cost: 0.074 },
  lagkv: { kl: [0.0759, 0.00786], cost: 0.127 },
  random: { kl: [0.161, 0.0254], cost: 0.047 },
  streaming: { kl: [0.0759, 0.00786], cost: 0.023 },
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
