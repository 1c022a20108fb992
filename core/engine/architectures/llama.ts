/** Llama, and all that is built like it. */
import type { Architecture } from "./architecture.ts";

export const llama: Architecture = {
  name: "llama",
  gguf: { isInterleaved: true },
  huggingFace: { modelType: "llama" },
};
