/** Inputs of the kernels of DefensiveKV's scores. */
import { numbers } from "./cases.ts";
import { runs } from "./slot_cases.ts";

/** Newest slots that must stay. */
const RECENT = 32;

/** Attention masses, as those of softmax rows, with four sinks and a recent window; and scores of any sign in their place. */
export function maskedRuns() {
  return [0, 1].flatMap((SCORES) =>
    runs().map(({ name, stride, start, end }) => {
      const heads = start.length;
      const worst = new Float32Array(heads * stride).fill(1e9),
        mean = worst.slice(),
        shielded = new Uint32Array(worst.length);
      for (let head = 0; head < heads; head++) {
        const from = head * stride + start[head]!, until = head * stride + end[head]!;
        // few slots hold most of it; some are alike, and some get nothing
        const rows = [71, 72].map((seed) =>
          numbers(until - from, seed + head).map((x, i) =>
            name === "all equal" ? 1 : i % 11 === 5 ? 0 : Math.exp(2 * x)
          )
        );
        const sum = rows[0]!.reduce((a, b) => a + b, 0);
        if (SCORES) worst.set(rows[0]!.map((x) => x - 3), from);
        else worst.set(rows[1]!.map((x) => Math.min(1, 3 * x / sum)), from);
        mean.set(SCORES ? worst.subarray(from, until) : rows[0]!.map((x) => x / sum), from);
        for (let at = from; at < until; at++) shielded[at] = Number(at < from + 4 || at >= until - RECENT);
      }
      const share = numbers(heads * stride, 73).map((x) => (x + 2.5) / 9);
      return {
        name: SCORES ? `${name}, scores` : name,
        heads,
        kvHeads: heads % 2 ? 1 : 2,
        stride,
        SCORES,
        buffers: { worst, mean, share, shielded, start, end },
      };
    })
  );
}
