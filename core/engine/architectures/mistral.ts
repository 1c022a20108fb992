/** Mistral: Llama's decoder, with a window over all layers in its first version. GGUF files of it call themselves llama. */
import type { Architecture } from "./architecture.ts";
import { withinWindow } from "./one_window.ts";

export const mistral: Architecture = {
  name: "mistral",
  huggingFace: { modelType: "mistral", config: withinWindow("sliding_window") },
};
