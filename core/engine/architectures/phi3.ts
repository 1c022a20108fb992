/**
 * Phi 3 and Phi 4 mini: queries, keys and values stand in one matrix, gate and up in another; only a part of a head may be turned; and positions may be
 * stretched beyond those of the first training, by divisors of the frequencies that differ for long texts (LongRoPE, arXiv 2402.13753).
 *
 * A long text is read inside the first positions here, as compact positions keep all slots there: those count as trained, with the divisors for short
 * texts. The other divisors would serve budgets that are larger than those positions. Half precision does not hold all products of queries and keys.
 */
import type { ModelConfig } from "../weights.ts";
import type { Architecture } from "./architecture.ts";
import { withinWindow } from "./one_window.ts";

const within = (plain: ModelConfig, originalPositions: number): ModelConfig => ({
  ...plain,
  largeProducts: true,
  trainedPositions: Math.min(plain.trainedPositions, originalPositions),
});

export const phi3: Architecture = {
  name: "phi3",
  gguf: {
    isInterleaved: false,
    names: { "attn_qkv.weight": "self_attn.qkv_proj", "ffn_up.weight": "mlp.gate_up_proj" },
    config: (plain, keys) =>
      within(
        withinWindow("attention.sliding_window")(plain, keys),
        keys.whole("rope.scaling.original_context_length", plain.trainedPositions),
      ),
  },
  huggingFace: {
    modelType: "phi3",
    config: (plain, keys) =>
      within(
        withinWindow("sliding_window")(plain, keys),
        keys.whole("original_max_position_embeddings", plain.trainedPositions),
      ),
  },
  fused: ({ heads, kvHeads, headDim, ffn }) => ({
    "self_attn.qkv_proj": [
      ["self_attn.q_proj", heads * headDim],
      ["self_attn.k_proj", kvHeads * headDim],
      ["self_attn.v_proj", kvHeads * headDim],
    ],
    "mlp.gate_up_proj": [["mlp.gate_proj", ffn], ["mlp.up_proj", ffn]],
  }),
};
