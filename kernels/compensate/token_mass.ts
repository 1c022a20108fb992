/**
 * Token mass: what slots weigh where no probe measured attention. The counterpart of the fallback of `massOf` in `core/compensate/heads.ts`.
 *
 * Dispatches: 1 per layer. Bytes: live × 8.
 */
import { numbers } from "../cases/cases.ts";
import { defineKernel } from "../kernel.ts";
import { losingHeads } from "../cases/losing_heads.ts";
import source from "./token_mass.wgsl" with { type: "text" };

export const tokenMass = defineKernel({
  name: "token_mass",
  source,
  bindings: {
    /** The layer's keys [heads, stride, WIDTH]; with WIDE their log-bias stands in column D. */
    keys: "read",
    /** First live slot, and the first behind the last, [all heads]. */
    start: "read",
    end: "read",
    /** [all heads, stride] */
    mass: "write",
  },
  stored: ["keys"],
  params: { heads: "u32", firstHead: "u32", stride: "u32" },
  constants: ["WIDTH", "D", "WIDE"],
  threads: 256,
  grid: ({ heads, stride }, threads) => [Math.ceil(stride / threads), heads],
  cpu({ keys, start, end, mass }, { heads, firstHead, stride, WIDTH, D, WIDE }) {
    for (let h = 0; h < heads; h++) {
      const head = firstHead + h;
      for (let slot = start[head]!; slot < end[head]!; slot++) {
        mass[head * stride + slot] = WIDE ? Math.exp(keys[(h * stride + slot) * WIDTH + D]!) : 1;
      }
    }
  },
  tolerance: { absolute: 0, relative: 1e-5, reason: "an exponential in single precision" },
  cases: () =>
    losingHeads().flatMap(({ name, allHeads, firstHead, stride, start, end, mass }) =>
      [0, 1].map((WIDE) => {
        const heads = allHeads - firstHead, WIDTH = WIDE ? 28 : 20, keys = numbers(heads * stride * WIDTH, 2);
        // a hidden slot
        if (WIDE) keys[Math.floor(heads * stride / 2) * WIDTH + 20] = -1e9;
        return {
          name: `${name}${WIDE ? ", biases" : ""}`,
          buffers: { keys, start, end, mass },
          values: { heads, firstHead, stride, WIDTH, D: 20, WIDE },
        };
      })
    ),
});
