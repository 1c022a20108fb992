/** Qwen 2 and 2.5: queries, keys and values have biases, and these make products of queries and keys that half precision does not hold. */
import type { Architecture, ConfigForm } from "./architecture.ts";

const biased: ConfigForm = (plain) => ({ ...plain, qkvBias: true, largeProducts: true });

export const qwen2: Architecture = {
  name: "qwen2",
  gguf: { isInterleaved: false, config: biased },
  huggingFace: {
    modelType: "qwen2",
    config(plain, keys) {
      keys.only("use_sliding_window", false);
      return biased(plain, keys);
    },
  },
};
