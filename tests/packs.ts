/** Packs for the golden Llama, of random numbers: what they say is not learned, how they are used is. */
import type { Packs } from "../core/pack/packs.ts";
import { readPack } from "../core/pack/packs.ts";
import { type GraphFeatures, NO_FEATURES } from "../core/engine/features.ts";
import { PACK_METHODS, type PackMethod } from "../core/pack/method.ts";
import type { ModelConfig, ModelFile } from "../core/engine/weights.ts";
import { safetensorsBytes, type StoredTensor } from "./engine/safetensors_bytes.ts";
import { memoryFile, randomNumbers } from "./host.ts";

/** Rows of embeddings, and positions before the first of them. */
export const SOFT_ROWS = 12, SOFT_OFFSET = 3;

/** Numbers between -1 and 1 as F32, or F16 where `half`. */
export function randomTensor(shape: number[], seed: number, scale = 1, half = false): StoredTensor {
  const random = randomNumbers(seed), count = shape.reduce((a, b) => a * b, 1);
  const values = Float32Array.from({ length: count }, () => scale * (2 * random() - 1));
  return half ? { dtype: "F16", shape, bytes: halves(values) } : floatTensor(shape, values);
}

export function floatTensor(shape: number[], values: Float32Array): StoredTensor {
  return { dtype: "F32", shape, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
}

/** float16 of numbers below 1 in size, cut off. */
function halves(values: Float32Array): Uint8Array {
  const bits = new Uint32Array(values.buffer), out = new Uint16Array(values.length);
  bits.forEach((word, i) => {
    const exponent = ((word >>> 23) & 255) - 112;
    out[i] = (word >>> 16) & 0x8000 | (exponent > 0 ? exponent << 10 | (word >>> 13) & 0x3ff : 0);
  });
  return new Uint8Array(out.buffer);
}

export const FINGERPRINT = "ab".repeat(32);

/** The strings of a good header. */
export function packMetadata(method: PackMethod, more: Record<string, string> = {}): Record<string, string> {
  return {
    method,
    version: "1",
    fingerprint: FINGERPRINT,
    model: "golden llama",
    data: "chance",
    seed: "1",
    validation: JSON.stringify({ "hit 12.5 %": 71.5, kl: 0.5 }),
    parameters: JSON.stringify({ offset: SOFT_OFFSET, chosen: 5, question: 1 }),
    ...more,
  };
}

/** Index heads, numbers of an index key and rows of a memory. */
export const INDEX_HEADS = 3, INDEX_DIM = 4, RANK = 6;

/** The arrays of a good pack for a model. */
export const packTensors: Record<PackMethod, (config: ModelConfig) => Record<string, StoredTensor>> = {
  judgeq: ({ hidden }) => ({ tokens: randomTensor([SOFT_ROWS, hidden], 5, 0.5, true) }),
  indexmem: ({ layers, hidden, heads, kvHeads, headDim }) =>
    Object.assign(
      {},
      ...Array.from({ length: layers }, (_, layer) => {
        const seed = 100 * layer, scalar = (value: number) => floatTensor([1], Float32Array.of(value));
        return Object.fromEntries(
          Object.entries({
            "indexer.query": randomTensor([INDEX_HEADS * INDEX_DIM, heads * headDim], seed + 1, 0.5, true),
            "indexer.key": randomTensor([INDEX_DIM, hidden], seed + 2, 0.5, true),
            "indexer.weight": randomTensor([kvHeads * INDEX_HEADS, hidden], seed + 3, 0.5, true),
            "indexer.age": randomTensor([kvHeads], seed + 9, 0.05),
            "indexer.query_norm.weight": randomTensor([INDEX_DIM], seed + 4),
            "indexer.query_norm.bias": randomTensor([INDEX_DIM], seed + 5),
            "indexer.key_norm.weight": randomTensor([INDEX_DIM], seed + 6),
            "indexer.key_norm.bias": randomTensor([INDEX_DIM], seed + 7),
            "memory.phi": randomTensor([headDim, RANK], seed + 8, 0.5, true),
            "memory.gate": scalar(-1),
            "memory.write": scalar(-3),
            "memory.decay": scalar(2),
          }).map(([name, tensor]) => [name.replace(".", `.${layer}.`), tensor]),
        );
      }),
    ),
  metasoft: ({ hidden }) => ({
    library: randomTensor([24, hidden], 6, 0.2, true),
    tokens: randomTensor([SOFT_ROWS, hidden], 12, 0.5, true),
    scale: floatTensor([1], Float32Array.of(2)),
    "selector.query": randomTensor([SOFT_ROWS, 16], 7),
    "selector.key": randomTensor([16, hidden], 8, 4),
    "selector.place": randomTensor([3, 16], 13),
    "selector.value": randomTensor([16, hidden], 9, 4),
    "selector.output": randomTensor([24, 16], 10),
    "selector.bias": randomTensor([SOFT_ROWS, 24], 11),
    copy: randomTensor([3], 14),
    "salience.key": randomTensor([8, hidden], 15),
    "salience.context": randomTensor([8, hidden], 16),
    "salience.place": randomTensor([8, 2], 17),
    "salience.bias": randomTensor([8], 18),
    "salience.output": randomTensor([8], 19),
  }),
};

/** Everything that any policy may ask of a graph, with `randomPacks`. */
export const EVERY_FEATURE: GraphFeatures = {
  ...NO_FEATURES,
  mass: ["defensive", "max", "mean"],
  valueNorms: true,
  queryMoments: true,
  newestMass: true,
  logBias: true,
  embeddings: true,
  indexer: true,
  readout: true,
  packs: PACK_METHODS,
};

/** All packs, read as those of users are. */
export async function randomPacks(model: ModelFile): Promise<Packs> {
  const packs: Packs = {};
  for (const method of Object.keys(packTensors) as PackMethod[]) {
    const bytes = safetensorsBytes(packTensors[method](model.config), packMetadata(method));
    Object.assign(packs, { [method]: await readPack(method, memoryFile(bytes, `${method}.safetensors`), model) });
  }
  return packs;
}
