/**
 * Models that `models recommend` chooses from, the smaller ones first. All are instruction-tuned, may be fetched without a token and have a licence that allows any
 * use. The sizes of the files are those that the hub lists; `pull` compares with what it states then.
 */
import { defaultModel } from "./registry.ts";

/** What a model needs, as its configuration states it. */
export interface RecommendedModel {
  name: string;
  /** What `palimpsest pull` is given. */
  pull: string;
  parameters: number;
  layers: number;
  kvHeads: number;
  headDim: number;
  vocabulary: number;
  trainedPositions: number;
  downloadBytes: number;
  languages: string;
  license: string;
}

const qwen3 = {
  kvHeads: 8,
  headDim: 128,
  vocabulary: 151_936,
  trainedPositions: 40_960,
  languages: "119 languages",
  license: "Apache-2.0",
};

export const recommended: readonly RecommendedModel[] = [
  {
    name: "SmolLM2 135M Instruct",
    pull: defaultModel,
    parameters: 134_515_008,
    layers: 30,
    kvHeads: 3,
    headDim: 64,
    vocabulary: 49_152,
    trainedPositions: 8192,
    downloadBytes: 98_362_432,
    languages: "English",
    license: "Apache-2.0",
  },
  {
    name: "Qwen3 0.6B",
    pull: "hf:Qwen/Qwen3-0.6B-GGUF:Q8_0",
    parameters: 596_049_920,
    layers: 28,
    downloadBytes: 639_446_688,
    ...qwen3,
  },
  {
    name: "Qwen3 1.7B",
    pull: "hf:Qwen/Qwen3-1.7B-GGUF:Q8_0",
    parameters: 1_720_574_976,
    layers: 28,
    downloadBytes: 1_834_426_016,
    ...qwen3,
  },
  {
    name: "Qwen3 4B",
    pull: "hf:Qwen/Qwen3-4B-GGUF:Q8_0",
    parameters: 4_022_468_096,
    layers: 36,
    downloadBytes: 4_280_404_704,
    ...qwen3,
  },
  {
    name: "Qwen3 8B",
    pull: "hf:Qwen/Qwen3-8B-GGUF:Q4_K_M",
    parameters: 8_190_735_360,
    layers: 36,
    downloadBytes: 5_027_783_488,
    ...qwen3,
  },
  {
    name: "Qwen3 14B",
    pull: "hf:Qwen/Qwen3-14B-GGUF:Q4_K_M",
    parameters: 14_768_307_200,
    layers: 40,
    downloadBytes: 9_001_752_960,
    ...qwen3,
  },
];

/** Slots that a run with the default budget allocates for a KV head: budget, chunk, passages, question, answer. */
const slots = 1024 + 512 + 584;
/** A weight of 8 bits and its share of a block's scale, in float32. */
const bytesPerWeight = 1 + 4 / 32;
/** The program, ONNX Runtime and a chunk's activations; and for each token of the vocabulary its words, its ranks and its logits. */
const programBytes = 512 << 20, bytesPerToken = 3072;

/**
 * About what a run on the CPU takes at its peak, in bytes: the weights as they are on the disk and a tenth, keys and values in float32, and the rest. Above what was measured with
 * SmolLM2 135M (0.7 GiB), Gemma 3 270M with its 262,144 tokens (1.4) and a model of random weights with 694 million parameters (1.5).
 */
export function memoryNeeded(model: RecommendedModel): { neededBytes: number; weightBytes: number; kvBytes: number } {
  const weightBytes = Math.round(model.parameters * bytesPerWeight);
  const kvBytes = slots * model.layers * model.kvHeads * model.headDim * 2 * 4;
  const neededBytes = Math.round(1.1 * weightBytes) + kvBytes + programBytes + bytesPerToken * model.vocabulary;
  return { weightBytes, kvBytes, neededBytes };
}
