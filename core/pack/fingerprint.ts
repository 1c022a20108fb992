/** What is the same for all quantisations of one checkpoint: a pack is matched to a model by it. */
import { dequantise } from "../engine/dequantise.ts";
import type { ModelFile } from "../engine/weights.ts";
import { vocabularyOf } from "../text/model_tokenizer.ts";
import { sha256 } from "./sha256.ts";

/**
 * SHA-256 (hex) of shapes, vocabulary and norm vectors, which no quantisation touches: the line `architecture layers hidden heads kvHeads headDim vocab`,
 * then every spelled token in the order of ids, each on a line, then the float32 gains of all layers' norms (before attention, before the MLP) and of the
 * last one. `training/` computes the same.
 * @throws {ModelError} for a model without a vocabulary in its file, or with damaged norms
 */
export async function fingerprint(model: Omit<ModelFile, "close">): Promise<string> {
  const { architecture, layers, hidden, heads, kvHeads, headDim, vocab } = model.config;
  const tokens = await vocabularyOf(model);
  const lines = [[architecture, layers, hidden, heads, kvHeads, headDim, vocab].join(" "), ...tokens];
  const parts = [new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""))];
  for (const name of [...Array(layers).keys()].flatMap(normsOf).concat("norm")) {
    const { type, bytes } = await model.tensor(name);
    const gains = Float32Array.from(dequantise(type, bytes));
    parts.push(new Uint8Array(gains.buffer));
  }
  return await sha256(new Uint8Array(await new Blob(parts).arrayBuffer()));
}

const normsOf = (layer: number) => [`layers.${layer}.input_layernorm`, `layers.${layer}.post_attention_layernorm`];
