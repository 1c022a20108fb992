/** What tests of selection share: a plain ranking, awkward scores, and a context. */
import type { SelectContext } from "../../core/policy.ts";
import { randomNumbers } from "../host.ts";

/** By sorting: highest first, NaN below everything, ties to the earlier index. */
export function sorted(scores: Float32Array, count: number): number[] {
  const rank = (value: number) => Number.isNaN(value) ? -Infinity : value;
  const order = [...scores.keys()].sort((a, b) =>
    Number(Number.isNaN(scores[a])) - Number(Number.isNaN(scores[b])) || compare(rank(scores[b]!), rank(scores[a]!)) ||
    a - b
  );
  return order.slice(0, count).sort((a, b) => a - b);
}

/** -0 equals 0, and infinities can be compared, which subtraction cannot. */
const compare = (a: number, b: number) => a < b ? -1 : a > b ? 1 : 0;

/** Scores with many ties and everything that floats can be. */
export function awkward(n: number, seed: number): Float32Array {
  const random = randomNumbers(seed);
  const special = [
    NaN,
    Infinity,
    -Infinity,
    0,
    -0,
    1e-45,
    -1e-45,
    3.4028234663852886e38,
    -3.4028234663852886e38,
    1,
    -1,
  ];
  return Float32Array.from({ length: n }, () => {
    const kind = random();
    if (kind < 0.3) return special[Math.floor(special.length * random())]!;
    if (kind < 0.6) return Math.floor(8 * random()) / 8;
    return (random() - 0.3) * 10 ** Math.floor(12 * random() - 8);
  });
}

export function context(n: number, quota: number, more: Partial<SelectContext> = {}): SelectContext {
  return {
    quota,
    protectedSlots: new Uint8Array(n),
    source: Int32Array.from({ length: n }, (_, i) => i),
    valueNorm: new Float32Array(0),
    tokensRead: n,
    ...more,
  };
}
