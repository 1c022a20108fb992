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

export const measured: { [policy: string]: Measured } = {};

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
