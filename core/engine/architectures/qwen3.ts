/** Qwen 3: queries and keys are normalised per head before they are turned; the head size is stated. */
import type { Architecture, ConfigForm } from "./architecture.ts";

const normalised: ConfigForm = (plain) => ({ ...plain, qkNorm: true });

export const qwen3: Architecture = {
  name: "qwen3",
  gguf: { isInterleaved: false, config: normalised },
  huggingFace: {
    modelType: "qwen3",
    config(plain, keys) {
      keys.only("use_sliding_window", false);
      return normalised(plain, keys);
    },
  },
};
