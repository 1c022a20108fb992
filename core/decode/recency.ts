/** The newest written tokens stay (StreamingLLM, arXiv 2309.17453, applied to what is written; the sinks are the prompt's and stay anyway). */
import type { DecodePolicy } from "../policy.ts";

export const recency = (): DecodePolicy => ({
  name: "recency",
  evicts: true,
  score({ cache, written }) {
    const order = Float32Array.from({ length: written }, (_, slot) => slot);
    return Array.from({ length: cache.heads }, () => order);
  },
});
