/**
 * Opens GGUF model files. Everything in a file is doubted: what is damaged or unsupported comes out as a `ModelError`.
 */
import { ModelError } from "../errors.ts";
import type { RandomAccessFile } from "../files.ts";
import { dequantise } from "./dequantise.ts";
import { type GgufHeader, readHeader, type TensorInfo } from "./gguf/header.ts";
import { checkArchitecture, llamaConfig, mapName, ROPE_FACTORS } from "./gguf/llama.ts";
import { checkTensors } from "./llama_shape.ts";
import type { ModelConfig, ModelFile, WeightTensor } from "./weights.ts";

/**
 * Opens a model: reads the header (and `rope_freqs.weight`, a few hundred bytes) and no other tensor. The file is
 * closed by the model's `close`, or here when it is refused.
 *
 * @throws {ModelError} when the file is no complete GGUF file of a supported architecture and supported tensor types.
 */
export async function openGguf(file: RandomAccessFile): Promise<ModelFile> {
  try {
    const header = await readHeader(file, (metadata) => checkArchitecture(file.path, metadata));
    return await modelFile(file, header);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function modelFile(file: RandomAccessFile, { metadata, tensors: stored }: GgufHeader): Promise<ModelFile> {
  const tensors = new Map<string, TensorInfo>();
  for (const [ggufName, info] of stored) {
    const name = ggufName === ROPE_FACTORS ? null : mapName(ggufName);
    if (name === null) continue;
    if (tensors.has(name)) throw new ModelError(`Cannot use model ${file.path}: it holds tensor ${name} twice`);
    tensors.set(name, info);
  }
  const config = llamaConfig(file.path, metadata, tensors.get("embed_tokens")?.shape, !tensors.has("lm_head"));
  checkTensors(file.path, config, tensors);
  const factors = stored.get(ROPE_FACTORS);
  if (factors) config.ropeScaling = { kind: "factors", factors: await ropeFactors(file, config, factors) };

  return {
    format: "gguf",
    path: file.path,
    config,
    metadata,
    tensors,
    async tensor(name: string): Promise<WeightTensor> {
      const info = tensors.get(name);
      if (!info) throw new ModelError(`Cannot read tensor ${name}: model ${file.path} has none of that name`);
      const bytes = await file.read(info.offset, info.byteLength);
      // llama.cpp permutes Llama's rows only; Qwen's files keep the half-split order
      const interleaved = config.architecture === "llama" && (name.endsWith(".q_proj") || name.endsWith(".k_proj"));
      return {
        name,
        type: info.type,
        shape: [...info.shape],
        bytes: interleaved ? splitHalves(bytes, info.shape[0], config.headDim) : bytes,
      };
    },
    close: () => file.close(),
  };
}

/** [headDim / 2] divisors, which must be usable. */
async function ropeFactors(file: RandomAccessFile, config: ModelConfig, info: TensorInfo): Promise<Float32Array> {
  const count = config.headDim / 2;
  if (info.type !== "F32" || info.shape.length !== 1 || info.shape[0] !== count) {
    throw new ModelError(
      `Cannot use model ${file.path}: ${ROPE_FACTORS} is ${info.type} [${info.shape.join(", ")}]; F32 [${count}] works`,
    );
  }
  const factors = dequantise("F32", await file.read(info.offset, info.byteLength));
  const bad = factors.find((factor) => !(factor > 0 && factor < Infinity));
  if (bad !== undefined) {
    throw new ModelError(`Cannot use model ${file.path}: ${ROPE_FACTORS} holds ${bad}; numbers above 0 work`);
  }
  return factors;
}

/**
 * Rows of q or k from interleaved to half-split RoPE order, whole rows as they are stored: row 2i + h of a head becomes
 * row h · headDim / 2 + i. The inverse of `permute` in llama.cpp's `convert_hf_to_gguf.py`.
 */
export function splitHalves(bytes: Uint8Array, rows: number, headDim: number): Uint8Array {
  const rowBytes = bytes.length / rows;
  const out = new Uint8Array(bytes.length);
  for (let row = 0; row < rows; row++) {
    const inHead = row % headDim;
    const to = row - inHead + (inHead % 2) * (headDim / 2) + (inHead >> 1);
    out.set(bytes.subarray(row * rowBytes, (row + 1) * rowBytes), to * rowBytes);
  }
  return out;
}
