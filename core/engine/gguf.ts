/**
 * Opens GGUF model files. Everything in a file is doubted: what is damaged or unsupported comes out as a `ModelError`.
 */
import { ModelError } from "../errors.ts";
import type { RandomAccessFile } from "../files.ts";
import { dequantise } from "./dequantise.ts";
import { type GgufHeader, readHeader, type TensorInfo } from "./gguf/header.ts";
import type { Architecture } from "./architectures/architecture.ts";
import { checkTensors } from "./architectures/tensors.ts";
import { architectureOf, ggufConfig, keysOf, mapName, ROPE_FACTORS, UNUSED_FACTORS } from "./gguf/config.ts";
import { isTurned, partOf, reordered, rowOrder, taken, withGains } from "./stored_tensors.ts";
import type { ModelConfig, ModelFile, RowRange, WeightTensor } from "./weights.ts";

/**
 * Opens a model: reads the header (and `rope_freqs.weight`, a few hundred bytes) and no other tensor. The file is
 * closed by the model's `close`, or here when it is refused.
 *
 * @throws {ModelError} when the file is no complete GGUF file of a supported architecture and supported tensor types.
 */
export async function openGguf(file: RandomAccessFile): Promise<ModelFile> {
  try {
    let architecture: Architecture | null = null;
    const header = await readHeader(file, (metadata) => architecture = architectureOf(file.path, metadata));
    return await modelFile(file, header, architecture!);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function modelFile(
  file: RandomAccessFile,
  { metadata, tensors: stored }: GgufHeader,
  architecture: Architecture,
): Promise<ModelFile> {
  const form = architecture.gguf!, ours: [string, TensorInfo][] = [];
  for (const [ggufName, info] of stored) {
    const isSetting = ROPE_FACTORS.includes(ggufName) || ggufName === UNUSED_FACTORS;
    const name = isSetting ? null : mapName(ggufName, form.names);
    if (name !== null) ours.push([name, info]);
  }
  const shapeOf = (name: string) => ours.find(([own]) => own === name)?.[1].shape;
  const config = ggufConfig(file.path, architecture, metadata, shapeOf("embed_tokens"), !shapeOf("lm_head"));
  const tensors = taken(file.path, ours, config, architecture);
  checkTensors(file.path, config, tensors);
  // sizes that the tensors do not bear out are no longer there
  const order = rowOrder(config, form.isInterleaved);
  const factors = ROPE_FACTORS.find((name) => stored.has(name));
  if (factors) {
    config.ropeScaling = {
      kind: "factors",
      factors: await ropeFactors(file, config, factors, stored.get(factors)!),
      magnitude: keysOf(file.path, architecture.name, metadata).positive("rope.scaling.attn_factor", 1),
    };
  } else if (stored.has(UNUSED_FACTORS) || metadata.get(`${architecture.name}.rope.scaling.type`) === "longrope") {
    throw new ModelError(`Cannot use model ${file.path}: its positions are stretched, and it lacks ${ROPE_FACTORS[1]}`);
  }

  return {
    format: "gguf",
    path: file.path,
    config,
    metadata,
    tensors,
    async tensor(name: string, part?: RowRange): Promise<WeightTensor> {
      const whole = tensors.get(name);
      if (!whole) throw new ModelError(`Cannot read tensor ${name}: model ${file.path} has none of that name`);
      const info = partOf(whole, part), bytes = await file.read(info.offset, info.byteLength);
      const ordered = order && isTurned(name) ? reordered(bytes, info.shape[0]!, order) : bytes;
      return withGains({ name, type: info.type, shape: [...info.shape], bytes: ordered }, 0, config);
    },
    files: [file.path],
    beside: () => Promise.resolve(null),
    close: () => file.close(),
  };
}

/** [rotaryDim / 2] divisors, which must be usable. */
async function ropeFactors(
  file: RandomAccessFile,
  config: ModelConfig,
  name: string,
  info: TensorInfo,
): Promise<Float32Array> {
  const count = config.rotaryDim / 2;
  if (info.type !== "F32" || info.shape.length !== 1 || info.shape[0] !== count) {
    throw new ModelError(
      `Cannot use model ${file.path}: ${name} is ${info.type} [${info.shape.join(", ")}]; F32 [${count}] works`,
    );
  }
  const factors = dequantise("F32", await file.read(info.offset, info.byteLength));
  const bad = factors.find((factor) => !(factor > 0 && factor < Infinity));
  if (bad !== undefined) {
    throw new ModelError(`Cannot use model ${file.path}: ${name} holds ${bad}; numbers above 0 work`);
  }
  return factors;
}
