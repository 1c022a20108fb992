/** No probe: a slot's place alone decides, newer is higher. With protected sinks this is StreamingLLM (arXiv 2309.17453). */
import type { Probe } from "../policy.ts";

export const none = (): Probe => ({
  name: "none",
  windowRows: 0,
  blind: true,
  look: ({ cache }) =>
    Promise.resolve({
      score: Array.from(cache.live, (live) => Float32Array.from({ length: live }, (_, slot) => slot)),
    }),
});
