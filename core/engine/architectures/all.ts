/** The families of models that can be run, by what their files call themselves. */
import { gemma3 } from "./gemma3.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { smollm3 } from "./smollm3.ts";
import type { Architecture } from "./architecture.ts";

const all: readonly Architecture[] = [llama, gemma3, mistral, phi3, qwen2, qwen3, smollm3];

/** By GGUF's `general.architecture`. */
export const ggufArchitectures: ReadonlyMap<string, Architecture> = new Map(
  all.filter(({ gguf }) => gguf).map((one) => [one.name, one]),
);
/** By Hugging Face's `model_type`. */
export const huggingFaceArchitectures: ReadonlyMap<string, Architecture> = new Map(
  all.map((one) => [one.huggingFace.modelType, one]),
);

/** The names, for messages: "a, b and c". */
export function named(architectures: ReadonlyMap<string, Architecture>): string {
  const names = [...architectures.keys()];
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
