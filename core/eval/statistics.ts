/** Means with what they are worth: 95 % Wilson intervals for shares, standard errors for everything else. */

export interface Estimate {
  mean: number;
  count: number;
  /** 95 % Wilson interval, where every value is 0 or 1; else null. */
  interval: { low: number; high: number } | null;
  /** Standard error of the mean; null for one value alone. */
  error: number | null;
}

const Z = 1.959963984540054;

/** Share of `hits` with its 95 % Wilson interval. */
export function wilson(hits: number, count: number): { low: number; high: number } {
  const p = hits / count, d = 1 + Z * Z / count, centre = (p + Z * Z / (2 * count)) / d;
  const half = Z * Math.sqrt(p * (1 - p) / count + Z * Z / (4 * count * count)) / d;
  return { low: Math.max(0, centre - half), high: Math.min(1, centre + half) };
}

export const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

/** Sample standard deviation over the square root of the count. */
export function standardError(values: readonly number[]): number | null {
  if (values.length < 2) return null;
  const centre = mean(values), sum = values.reduce((sum, value) => sum + (value - centre) ** 2, 0);
  return Math.sqrt(sum / (values.length - 1) / values.length);
}

/** @param values at least one */
export function estimate(values: readonly number[]): Estimate {
  const shares = values.every((value) => value === 0 || value === 1);
  const hits = values.reduce((sum, value) => sum + value, 0);
  return {
    mean: mean(values),
    count: values.length,
    interval: shares ? wilson(hits, values.length) : null,
    error: standardError(values),
  };
}
