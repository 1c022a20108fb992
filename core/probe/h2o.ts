/**
 * All queries so far ask: every row of every chunk adds its attention to the slots that it sees (H2O, arXiv 2306.14048). The sum is divided by the
 * queries that could see the slot, as kvpress's ObservedAttention does: old tokens do not win by age alone.
 * Differs: queries saw what was live at their time, not all that was ever read; half of the budget is not set aside for recent tokens.
 */
import type { Probe } from "../policy.ts";

export const h2o = (): Probe => ({
  name: "h2o",
  windowRows: Infinity,
  everyChunk: true,
  needs: { mass: ["mean"] },
  attributes: ["score", "seen"],
  look({ cache, chunk, tokens }) {
    const rows = tokens.length;
    return Promise.resolve({
      score: Array.from(cache.live, (live, head) => {
        const sum = cache.attribute("score", head), seen = cache.attribute("seen", head);
        const mass = chunk.mass!.mean![head]!, past = live - rows;
        const score = new Float32Array(live);
        for (let slot = 0; slot < live; slot++) {
          sum[slot]! += mass[slot]! * rows; // the mean over the rows and the heads of a group
          seen[slot]! += slot < past ? rows : live - slot; // a new row sees itself and what stands before it
          score[slot] = sum[slot]! / seen[slot]!;
        }
        return score;
      }),
    });
  },
});
