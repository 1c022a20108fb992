/**
 * Turns a model file into what ONNX Runtime maps: one weights file and its index, kept in the cache folder under the model's hash, and one small graph
 * file per set of features beside it. The second start finds both.
 */
import type { FileSystem } from "../files.ts";
import { type BlockMatrix, toBlocks } from "./blocks.ts";
import { dequantise } from "./dequantise.ts";
import { requireFinite } from "./finite.ts";
import { type GraphFeatures, spell } from "./features.ts";
import { writeLlama } from "./graph_llama.ts";
import { writeLlamaWebgpu } from "./graph_webgpu.ts";
import type { BlockEntry, FloatEntry, Range, WeightIndex } from "./linear.ts";
import { qkvNames } from "./llama_blocks.ts";
import type { ModelConfig, ModelFile, WeightTensor } from "./weights.ts";

/** `blocks`: quantised (MatMulNBits); `f32`: everything dequantised. */
export type WeightFormat = "blocks" | "f32";

/** Change it whenever the weights' bytes or their index would differ: older files are then ignored. */
const WEIGHTS_VERSION = 9;
/** Change it whenever a graph would differ over the same weights: these are large, and stay. */
const GRAPH_VERSION = 11;
/** External data is mapped into memory, which asks for page alignment. */
const ALIGNMENT = 4096;

/** Which ONNX Runtime runs the graph: its WebGPU device takes another attention and no branches. */
export type GraphTarget = "cpu" | "webgpu";

const graphs: Record<GraphTarget, typeof writeLlama> = { cpu: writeLlama, webgpu: writeLlamaWebgpu };

export interface PreparedModel {
  /** Path of the graph file; its weights file lies in the same folder. */
  graphPath: string;
  /** Name by which the graph refers to its weights file. */
  weightsName: string;
  weightsPath: string;
}

/**
 * @param folder where files of this model may be kept (named by its hash)
 * @throws {ModelError} for a damaged file
 */
export async function prepare(
  files: FileSystem,
  folder: string,
  model: ModelFile,
  format: WeightFormat,
  features: GraphFeatures,
  target: GraphTarget = "cpu",
): Promise<PreparedModel> {
  const { config } = model;
  const stem = `${format}-v${WEIGHTS_VERSION}`;
  const weightsName = `${stem}.weights`, weightsPath = files.join(folder, weightsName);
  const indexPath = files.join(folder, `${stem}.json`);
  let index = await readIndex(files, indexPath);
  if (!index || !(await files.exists(weightsPath))) {
    index = await writeWeights(files, weightsPath, model, format);
    const json = new TextEncoder().encode(JSON.stringify(index));
    await files.writeAtomically(indexPath, (put) => put(json));
  }
  const graphPath = files.join(
    folder,
    `${stem}.${GRAPH_VERSION}-${target === "cpu" ? "" : `${target}-`}${spell(features)}.onnx`,
  );
  if (!(await files.exists(graphPath))) {
    const graph = graphs[target](config, index, weightsName, features);
    await files.writeAtomically(graphPath, (put) => put(graph));
  }
  return { graphPath, weightsName, weightsPath };
}

async function readIndex(files: FileSystem, path: string): Promise<WeightIndex | null> {
  if (!(await files.exists(path))) return null;
  try {
    const index = JSON.parse(new TextDecoder().decode(await files.readFile(path))) as WeightIndex;
    return index.version === WEIGHTS_VERSION ? index : null;
  } catch {
    return null; // a damaged index is written anew
  }
}

/** Matrices that are always applied to the same input lie side by side, so that one product serves them, and their biases too. */
function groupsOf(config: ModelConfig): { vectors: string[][]; matrices: string[][] } {
  const vectors = [["norm"]], matrices = [["embed_tokens"]];
  if (!config.tied) matrices.push(["lm_head"]);
  for (let layer = 0; layer < config.layers; layer++) {
    const w = `layers.${layer}.`;
    vectors.push([`${w}input_layernorm`], [`${w}post_attention_layernorm`]);
    if (config.normsBehind) vectors.push([`${w}pre_feedforward_layernorm`], [`${w}post_feedforward_layernorm`]);
    if (config.qkvBias) vectors.push(qkvNames(layer).map((name) => `${name}.bias`));
    if (config.qkNorm) vectors.push([`${w}self_attn.q_norm`], [`${w}self_attn.k_norm`]);
    matrices.push(
      qkvNames(layer),
      [`${w}self_attn.o_proj`],
      [`${w}mlp.gate_proj`, `${w}mlp.up_proj`],
      [`${w}mlp.down_proj`],
    );
  }
  return { vectors, matrices };
}

async function writeWeights(
  files: FileSystem,
  path: string,
  model: ModelFile,
  format: WeightFormat,
): Promise<WeightIndex> {
  const index: WeightIndex = { version: WEIGHTS_VERSION, entries: {} };
  await files.writeAtomically(path, async (put) => {
    let offset = 0;
    const append = async (bytes: Uint8Array): Promise<Range> => {
      const gap = (ALIGNMENT - offset % ALIGNMENT) % ALIGNMENT;
      if (gap > 0) await put(new Uint8Array(gap));
      const range = { offset: offset + gap, length: bytes.length };
      await put(bytes);
      offset = range.offset + range.length;
      return range;
    };
    const floats = async (tensors: WeightTensor[], shape: number[]): Promise<FloatEntry> => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      let at = 0;
      for (const tensor of tensors) {
        const part = dequantise(tensor.type, tensor.bytes);
        requireFinite(part, tensor.name);
        values.set(part, at);
        at += part.length;
      }
      return { kind: "float", shape, data: await append(bytesOf(values)) };
    };
    const { vectors, matrices } = groupsOf(model.config);
    const read = async (group: string[]) => {
      const tensors = [];
      for (const name of group) tensors.push(await model.tensor(name));
      return tensors;
    };
    for (const group of vectors) {
      const tensors = await read(group);
      index.entries[group.join("+")] = await floats(tensors, [tensors.reduce((sum, { shape }) => sum + shape[0]!, 0)]);
    }
    for (const group of matrices) {
      const tensors = await read(group);
      const columns = tensors[0]!.shape[1]!;
      if (format === "f32") {
        const rows = tensors.reduce((sum, tensor) => sum + tensor.shape[0]!, 0);
        index.entries[group.join("+")] = await floats(tensors, [rows, columns]);
        continue;
      }
      const parts = tensors.map(toBlocks);
      const joined = join(parts);
      if (joined) index.entries[group.join("+")] = await blocks(joined, append);
      else for (let i = 0; i < parts.length; i++) index.entries[group[i]!] = await blocks(parts[i]!, append);
    }
  });
  return index;
}

async function blocks(matrix: BlockMatrix, append: (bytes: Uint8Array) => Promise<Range>): Promise<BlockEntry> {
  return {
    kind: "blocks",
    bits: matrix.bits,
    blockSize: matrix.blockSize,
    rows: matrix.rows,
    columns: matrix.columns,
    data: await append(matrix.data),
    scales: await append(bytesOf(matrix.scales)),
    zeroPoints: matrix.zeroPoints ? await append(matrix.zeroPoints) : null,
  };
}

/** Matrices below one another, or null where their block formats differ. */
function join(parts: BlockMatrix[]): BlockMatrix | null {
  const first = parts[0]!;
  if (parts.length === 1) return first;
  const { bits, blockSize, columns } = first;
  if (parts.some((part) => part.bits !== bits || part.blockSize !== blockSize || part.columns !== columns)) return null;
  const withZeroPoints = parts.some((part) => part.zeroPoints);
  if (withZeroPoints && bits !== 8) return null;
  const joined: BlockMatrix = {
    bits,
    blockSize,
    columns,
    rows: parts.reduce((sum, part) => sum + part.rows, 0),
    data: concat(parts.map((part) => part.data), Uint8Array),
    scales: concat(parts.map((part) => part.scales), Float32Array),
    lossless: parts.every((part) => part.lossless),
  };
  if (withZeroPoints) {
    joined.zeroPoints = concat(
      parts.map((part) => part.zeroPoints ?? new Uint8Array(part.scales.length).fill(128)),
      Uint8Array,
    );
  }
  return joined;
}

function concat<T extends Uint8Array | Float32Array>(parts: T[], make: new (length: number) => T): T {
  const out = new make(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
