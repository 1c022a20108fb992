/** A learned indexer and a latent memory on a GPU: weights and state, all of which count as the reading's memory, and the kernels of a look. */
import type { GpuLatent } from "../../core/engine/webgpu.ts";
import type { ModelConfig } from "../../core/engine/weights.ts";
import { type IndexRows, indexRowsOf } from "../../core/probe/index_score.ts";
import type { IndexmemPack } from "../../core/pack/indexmem.ts";
import { latentFeatures } from "../compensate/latent_features.ts";
import { latentWrite } from "../compensate/latent_write.ts";
import { indexKeys } from "../forward/index_keys.ts";
import type { Gpu } from "../gpu.ts";
import { indexQueries } from "../probe/index_queries.ts";
import { indexScores } from "../probe/index_scores.ts";
import type { Compaction } from "./compaction.ts";
import { keysOf, valuesOf } from "./rows.ts";
import type { Slots } from "./slots.ts";

const joined = (...parts: ArrayLike<number>[]) => Float32Array.from(parts.flatMap((part) => Array.from(part)));

export class IndexerOnGpu {
  private readonly dim: number;
  private readonly heads: number;
  private readonly groups: number;
  private readonly layers: Record<"key" | "keyAffine" | "query" | "queryAffine" | "weight" | "ages", GPUBuffer>[];

  constructor(gpu: Gpu, slots: Slots, pack: IndexmemPack, { kvHeads }: ModelConfig) {
    const { dim, heads, groups } = pack.layers[0]!.indexer;
    this.dim = dim;
    this.heads = heads;
    this.groups = groups;
    this.layers = pack.layers.map(({ indexer: of }, layer) => {
      const put = (name: string, data: Float32Array<ArrayBuffer>) => {
        const buffer = slots.array(`indexer.${name}.${layer}`, data.byteLength);
        gpu.write(buffer, data);
        return buffer;
      };
      const hidden = of.key.length / dim;
      const rows = Array.from(
        { length: groups * heads },
        (_, j) => [...of.weight.subarray(j * hidden, (j + 1) * hidden), of.weightBias[j]!],
      );
      return {
        key: put("key", joined(of.key)),
        keyAffine: put("key.affine", joined(of.keyBias, of.keyNorm.weight, of.keyNorm.bias)),
        query: put("query", joined(of.query)),
        queryAffine: put("query.affine", joined(of.queryNorm.weight, of.queryNorm.bias)),
        weight: put("weight", joined(rows.flat())),
        ages: put("ages", joined(of.age ?? new Float32Array(kvHeads))),
      };
    });
  }

  private keys({ slots }: Compaction["memory"]): GPUBuffer {
    return slots.wide("attribute.indexerKey", this.dim);
  }

  /** Index keys of the chunk's slots, into the attribute. */
  recordKeys(compaction: Compaction): void {
    const { memory, recording, moment: { rows, chunk } } = compaction, { hidden } = memory.engine.config;
    this.layers.forEach(({ key, keyAffine }, layer) => {
      const buffers = { x: chunk!.normed![layer]!, matrix: key, affine: keyAffine, end: memory.slots.end };
      const numbers = { ...compaction.layer(layer), rows, hidden, DIM: this.dim };
      indexKeys.record(recording, { ...buffers, pool: this.keys(memory) }, numbers);
    });
  }

  /** Scores of all live slots, asked with some of the chunk's last rows. */
  recordScores(compaction: Compaction, indexRows: IndexRows, scores: GPUBuffer): void {
    const { memory, recording, moment: { rows, chunk }, shape } = compaction, { heads: n, dim: DIM, groups } = this;
    const { kvHeads, group, headDim: HEAD_DIM, width: WIDTH } = shape, { start, end, position } = memory.slots;
    const last = compaction.moment.nextPosition - 1;
    const asking = indexRowsOf(indexRows, rows), heads = kvHeads * group, pairs = asking * n;
    const { every } = indexRows, most = indexRowsOf(indexRows, Infinity);
    const queries = memory.slots.array("index.queries", 4 * most * n * DIM);
    const counts = memory.slots.array("index.counts", 4 * most * groups * n);
    this.layers.forEach(({ query, queryAffine, weight, ages }, layer) => {
      indexQueries.record(recording, {
        raw: chunk!.rawQueries![layer]!,
        x: chunk!.normed![layer]!,
        matrix: query,
        affine: queryAffine,
        weight,
        queries,
        counts,
      }, {
        asking,
        first: rows - 1 - (asking - 1) * every,
        every,
        rowStep: heads * WIDTH,
        heads,
        hidden: memory.engine.config.hidden,
        n,
        groups,
        scale: 1 / (asking * Math.sqrt(n * DIM)),
        WIDTH,
        HEAD_DIM,
        DIM,
      });
      const buffers = { queries, counts, keys: this.keys(memory), start, end, position, ages, scores };
      indexScores.record(recording, buffers, { ...compaction.layer(layer), pairs, groups, last, DIM });
    });
  }
}

export class LatentOnGpu {
  /** False while passes shall see nothing of it. */
  visible = true;
  private readonly all: GpuLatent;
  private readonly layers: { phi: GPUBuffer; write: number; decay: number }[];

  constructor(gpu: Gpu, slots: Slots, pack: IndexmemPack, { headDim }: ModelConfig) {
    const { rank } = pack,
      put = (name: string, data: Float32Array<ArrayBuffer>) => {
        const buffer = slots.array(`latent.${name}`, data.byteLength);
        gpu.write(buffer, data);
        return buffer;
      };
    this.all = {
      rank,
      phi: put("phi", joined(...pack.layers.map(({ latent }) => latent.phi))),
      gate: put("gate", Float32Array.from(pack.layers, ({ latent }) => latent.gate)),
      sums: slots.array("latent.sums", 4 * slots.heads * rank * headDim),
      norms: slots.array("latent.norms", 4 * slots.heads * rank),
    };
    this.layers = pack.layers.map(({ latent: { phi, write, decay } }, layer) => ({
      phi: put(`phi.${layer}`, joined(phi)),
      write,
      decay,
    }));
  }

  /** What passes see of it. */
  get shown(): GpuLatent | null {
    return this.visible ? this.all : null;
  }

  /** State of all heads, [heads, rank, headDim] and [heads, rank]. */
  get state(): Pick<GpuLatent, "sums" | "norms"> {
    return this.all;
  }

  /** Writes what the heads lose. @param turns `rotationTable` of every layer */
  record(
    compaction: Compaction,
    { evicted, evictedCount }: { evicted: GPUBuffer; evictedCount: GPUBuffer },
    turns: (layer: number) => GPUBuffer,
  ): void {
    const { memory, memory: { slots }, shape, recording } = compaction;
    const { kvHeads, stride, headDim: D, width: WIDTH } = shape, { rank, sums, norms } = this.all, { position } = slots;
    const features = slots.array("latent.features", 4 * kvHeads * stride * rank);
    this.layers.forEach(({ phi, write, decay }, layer) => {
      const { heads, firstHead } = compaction.layer(layer), numbers = { heads, firstHead, stride, rank, WIDTH, D };
      const lists = { evicted, evictedCount, features };
      latentFeatures.record(
        recording,
        { keys: keysOf(recording, memory, layer), ...lists, position, turns: turns(layer), phi },
        numbers,
      );
      latentWrite.record(recording, { values: valuesOf(recording, memory, layer), ...lists, sums, norms }, {
        ...numbers,
        eta: write,
        decay,
      });
    });
  }
}
