/** IndexMem's pack as `training/` writes it, and its arithmetic against PyTorch's (`training/reference.py`). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { latentRead, LatentState, latentSums, latentUpdate } from "../../core/compensate/latent_state.ts";
import { readSafetensors } from "../../core/engine/safetensors.ts";
import { type ModelConfig, PLAIN } from "../../core/engine/weights.ts";
import { packArrays } from "../../core/pack/arrays.ts";
import type { PackHeader } from "../../core/pack/header.ts";
import { indexmemPack } from "../../core/pack/indexmem.ts";
import { ageTerm, indexKeys, indexQueries, indexWeights, meanIndexScore } from "../../core/probe/index_score.ts";
import { readArrays } from "../golden/open.ts";
import { files, fixture } from "../host.ts";
import { difference } from "../tiny_llama.ts";

const path = fixture("packs/reference.safetensors"), stored = await readSafetensors(await files.open(path));
const config = { layers: 3, hidden: 64, heads: 4, kvHeads: 2, headDim: 32, ...PLAIN } as Partial<
  ModelConfig
> as ModelConfig;
const header = { path, method: "indexmem" } as PackHeader;
const pack = await indexmemPack(header, packArrays(stored, header), config), all = await readArrays(path);
const { layers, hidden, heads, kvHeads, headDim } = config, group = heads / kvHeads;
const { asking, firstWrite } = JSON.parse(stored.metadata.get("parameters")!);

/** One of `count` equal parts. */
const part = (name: string, index: number, count: number) => {
  const whole = Float32Array.from(all.data(name)), size = whole.length / count;
  return whole.slice(index * size, (index + 1) * size);
};

test("indexmem's pack: index keys, and scores of each KV head with its own weights and age, as PyTorch has them", () => {
  assert.deepEqual([pack.indexDim, pack.layers[0]!.indexer.heads, pack.layers[0]!.indexer.groups], [4, 2, kvHeads]);
  for (const [layer, { indexer }] of pack.layers.entries()) {
    const x = part("indexer.hidden", layer, layers), keys = indexKeys(indexer, x), slots = x.length / hidden;
    assert.ok(difference(keys, part("indexer.keys", layer, layers)) < 1e-5);
    const queries = indexQueries(indexer, part("indexer.asking", layer, layers));
    const weights = indexWeights(indexer, x.slice(-asking * hidden));
    for (let h = 0; h < kvHeads; h++) {
      const own = weights.filter((_, i) => Math.floor(i / indexer.heads) % kvHeads === h);
      const score = meanIndexScore(queries, own, keys, indexer)
        .map((score, slot) => score - indexer.age![h]! * ageTerm(slots - 1 - slot));
      const far = difference(score, part("indexer.score", layer * kvHeads + h, layers * kvHeads));
      assert.ok(far < 2e-5, `layer ${layer}, head ${h}: ${far}`);
    }
  }
});

test("indexmem's pack: what two writes leave and what queries read of it, as PyTorch has it", () => {
  const gone = all.data("memory.gone"), state = new LatentState(layers * kvHeads, pack.rank, headDim);
  const slots = gone.length / (layers * kvHeads);
  for (const [layer, { latent }] of pack.layers.entries()) {
    for (let head = layer * kvHeads; head < (layer + 1) * kvHeads; head++) {
      const keys = part("memory.keys", head, layers * kvHeads), values = part("memory.values", head, layers * kvHeads);
      for (const [from, to] of [[0, firstWrite], [firstWrite, slots]]) {
        const lost = Array.from({ length: to - from }, (_, i) => from + i).filter((slot) => gone[head * slots + slot]);
        const rows = (pool: Float32Array) =>
          Float32Array.from(lost.flatMap((slot) => [...pool.subarray(slot * headDim, (slot + 1) * headDim)]));
        latentUpdate(state.run(head), latentSums(latent.phi, rows(keys), rows(values), headDim), latent);
      }
      const { sums, norms } = state.run(head), scale = Math.max(...sums.map(Math.abs), ...norms);
      assert.ok(difference(sums, part("memory.A", head, layers * kvHeads)) < 1e-5 * scale, `A of head ${head}`);
      assert.ok(difference(norms, part("memory.b", head, layers * kvHeads)) < 1e-5 * scale, `b of head ${head}`);
      for (let g = 0; g < group; g++) {
        const at = (head - layer * kvHeads) * group + g + layer * heads,
          query = part("memory.queries", at, layers * heads);
        const { out } = latentRead(latent.phi, query, { sums, norms }, headDim);
        const far = difference(out.map((x) => latent.gate * x), part("memory.readout", at, layers * heads));
        assert.ok(far < 1e-4, `query head ${at}: ${far}`);
      }
    }
  }
});
