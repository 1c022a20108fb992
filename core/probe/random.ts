/**
 * Chance: the baseline that every other probe must beat. Each head and token of the prompt has its own fixed number in [0, 1), so that two runs are
 * equal and a token that lost once would lose again.
 */
import type { Probe } from "../policy.ts";

export const random = (): Probe => ({
  name: "random",
  windowRows: 0,
  blind: true,
  look: ({ cache }) =>
    Promise.resolve({
      score: Array.from(
        cache.live,
        (_, head) => Float32Array.from(cache.sources(head), (token) => chance(head, token)),
      ),
    }),
});

/** Mixes two whole numbers to one in [0, 1): the finaliser of MurmurHash3, with 24 bits kept, which a float32 holds exactly. */
export function chance(head: number, token: number): number {
  let bits = Math.imul(token + 1, 0x9e3779b1) ^ Math.imul(head + 1, 0x85ebca77);
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b);
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
  return ((bits ^ (bits >>> 16)) >>> 8) / 2 ** 24;
}
