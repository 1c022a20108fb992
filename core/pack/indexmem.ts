/** The pack of IndexMem (arXiv 2605.25475): an indexer that scores slots, and a memory that keeps something of what is evicted. */
import type { Latent } from "../compensate/latent_state.ts";
import { cachedLayers } from "../engine/layers.ts";
import type { ModelConfig } from "../engine/weights.ts";
import type { Indexer } from "../probe/index_score.ts";
import type { Length, PackArrays } from "./arrays.ts";
import type { PackHeader } from "./header.ts";

export interface IndexmemPack {
  header: PackHeader;
  /** Numbers of a slot's index key. */
  indexDim: number;
  /** Rows of a head's latent memory. */
  rank: number;
  /** Of the cached layers. */
  layers: { indexer: Indexer; latent: Latent }[];
}

/** Most index heads, numbers of an index key, and rows of a memory: what a device is asked for must not be a pack's whim. */
const MOST_HEADS = 64, MOST_DIM = 64, MOST_RANK = 256;

/** @throws {ModelError} for arrays that cannot be used */
export async function indexmemPack(header: PackHeader, arrays: PackArrays, config: ModelConfig): Promise<IndexmemPack> {
  const layers: IndexmemPack["layers"] = [];
  // the first layer's shapes are all layers'
  let dim: Length = { name: "d", most: MOST_DIM }, heads: Length = { name: "n", most: MOST_HEADS };
  let rank: Length = { name: "r", most: MOST_RANK };
  for (const layer of cachedLayers(config)) {
    const indexer = await indexerOf(arrays, `indexer.${layer}.`, config, dim, heads);
    const latent = await latentOf(arrays, `memory.${layer}.`, config, rank);
    layers.push({ indexer, latent });
    [dim, heads, rank] = [indexer.dim, indexer.heads, latent.phi.length / config.headDim];
  }
  return { header, indexDim: dim as number, rank: rank as number, layers };
}

/** Biases of keys and weights may be missing: they are zeros then. */
async function indexerOf(
  arrays: PackArrays,
  p: string,
  { hidden, heads: queryHeads, kvHeads, headDim }: ModelConfig,
  dims: Length,
  indexHeads: Length,
): Promise<Indexer> {
  const { shape: [dim], data: key } = await arrays.floats(`${p}key`, [dims, hidden]);
  const rows = { name: "n d", most: typeof indexHeads === "number" ? indexHeads * dim! : indexHeads.most * dim! };
  const { shape: [columns], data: query } = await arrays.floats(`${p}query`, [rows, queryHeads * headDim]);
  const heads = columns! / dim!;
  if (!Number.isInteger(heads) || typeof indexHeads === "number" && heads !== indexHeads) {
    throw arrays.refuse(
      `${p}query has ${columns} rows, where a multiple of the ${dim} rows of ${p}key works, the same in all layers`,
    );
  }
  // one set of weights for the layer, or one for each of its KV heads
  const most = { name: "n or n * KV heads", most: heads * kvHeads };
  const { shape: [sets], data: weight } = await arrays.floats(`${p}weight`, [most, hidden]);
  const groups = sets! / heads;
  if (groups !== 1 && groups !== kvHeads) {
    throw arrays.refuse(`${p}weight has ${sets} rows, where ${heads} or ${heads * kvHeads} work`);
  }
  const floats = async (name: string, shape: number[]) => (await arrays.floats(p + name, shape)).data;
  const bias = (name: string, length: number) =>
    arrays.has(p + name) ? floats(name, [length]) : Promise.resolve(new Float32Array(length));
  const norm = async (name: string) => ({
    weight: await floats(`${name}.weight`, [dim!]),
    bias: await floats(`${name}.bias`, [dim!]),
  });
  return {
    heads,
    dim: dim!,
    groups,
    query,
    key,
    keyBias: await bias("key_bias", dim!),
    weight,
    weightBias: await bias("weight_bias", groups * heads),
    queryNorm: await norm("query_norm"),
    keyNorm: await norm("key_norm"),
    age: arrays.has(`${p}age`) ? await floats("age", [kvHeads]) : null,
  };
}

/** Gate, write and decay are stored before the functions that bound them. */
async function latentOf(arrays: PackArrays, p: string, { headDim }: ModelConfig, rank: Length): Promise<Latent> {
  const { data: phi } = await arrays.floats(`${p}phi`, [headDim, rank]);
  return {
    phi,
    gate: sigmoid(await arrays.scalar(`${p}gate`)),
    write: Math.log1p(Math.exp(await arrays.scalar(`${p}write`))),
    decay: sigmoid(await arrays.scalar(`${p}decay`)),
  };
}

const sigmoid = (x: number) => 1 / (1 + Math.exp(-x));
