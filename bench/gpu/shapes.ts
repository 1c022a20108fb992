/** Models and GPUs of the cost model: shapes as their files state them, and what makers publish. */
import { type ModelConfig, PLAIN } from "../../core/engine/weights.ts";

const llama = (name: string, shape: Partial<ModelConfig>): ModelConfig => ({
  architecture: "llama",
  name,
  layers: 1,
  hidden: 0,
  heads: 0,
  kvHeads: 0,
  headDim: 64,
  ffn: 0,
  vocab: 49152,
  // as many as any budget here wants: what is trained is not what costs
  trainedPositions: 40960,
  normEps: 1e-5,
  ropeTheta: 1e4,
  rotaryDim: 64,
  ropeScaling: null,
  tied: true,
  ...PLAIN,
  ...shape,
});

export const models: Record<string, ModelConfig> = {
  "smollm2-135m": llama("SmolLM2-135M", { layers: 30, hidden: 576, heads: 9, kvHeads: 3, ffn: 1536 }),
  "smollm2-1.7b": llama("SmolLM2-1.7B", { layers: 24, hidden: 2048, heads: 32, kvHeads: 32, ffn: 8192 }),
  "qwen3-4b": llama("Qwen3-4B", {
    architecture: "qwen3",
    layers: 36,
    hidden: 2560,
    heads: 32,
    kvHeads: 8,
    headDim: 128,
    rotaryDim: 128,
    ffn: 9728,
    vocab: 151936,
    qkNorm: true,
  }),
};

export interface Chip {
  name: string;
  /** Bytes per second from its memory. */
  bandwidth: number;
  /** Single-precision operations per second, tensor cores left out: WebGPU's f32 does not reach them. */
  arithmetic: number;
  /** Processors that run workgroups. */
  cores: number;
}

/** The laptop's GPU at its highest clock (2.37 GHz): at a lower one, reading takes longer and the policies' share, mostly memory, is smaller. */
export const chips: Chip[] = [
  { name: "RTX 4060 Laptop", bandwidth: 256e9, arithmetic: 14.6e12, cores: 24 },
  { name: "H200", bandwidth: 4.8e12, arithmetic: 67e12, cores: 132 },
];

/** Seconds that a dispatch takes at least. */
export const DISPATCH = 5e-6;
/** Seconds that a workgroup waits for memory before it can go on. */
export const ROUND_TRIP = 0.7e-6;
