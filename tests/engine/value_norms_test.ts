/** Value norms of the graph, from float weights and from each layout of quantised ones, against plain products. */
import assert from "node:assert/strict";
import process from "node:process";
import { after, describe, test } from "node:test";
import { KvCache } from "../../core/cache.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import type { Engine } from "../../core/engine/engine.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import { open, type Opened } from "../golden/open.ts";
import { fixture } from "../host.ts";
import { TINY, tokens } from "../tiny_llama.ts";

const features = { valueNorms: true };
/** Its heads are as wide as a block with a zero point. */
const realModel = process.env["PALIMPSEST_TEST_MODEL"];
/** How far a norm may be off, as a share: at most, and on the mean. Blocks are multiplied in 8 bits, values by the scale of the chunk's largest. */
const EXACT = { most: 1e-5, mean: 1e-5 }, ROUNDED = { most: 0.05, mean: 4e-3 };
const opened: { what: string; tolerance: typeof EXACT; model: Opened }[] = [];
for (
  const [what, path, weights, tolerance] of [
    ["float32", TINY, "f32", EXACT],
    ["blocks of 64 that a head's columns cut", TINY, "blocks", ROUNDED],
    ["blocks of 32, as many as a head has columns", fixture("gguf/llama.q8_0.gguf"), "blocks", ROUNDED],
    ["4 bits", fixture("gguf/llama3rope.q4_0.gguf"), "blocks", ROUNDED],
    ...(realModel ? [["the real model", realModel, "blocks", ROUNDED] as const] : []),
  ] as const
) {
  opened.push({ what, tolerance, model: await open(path, { features, weights }) });
}

describe("value norms", () => {
  after(async () => {
    for (const { model } of opened) await model.close();
  });

  for (const { what, tolerance, model: { engine, model } } of opened) {
    test(`are ‖v W_O‖₁, the mean over the heads of the group (${what})`, async () => {
      const ids = tokens(40, 3), cache = new KvCache(engine.config, 100);
      // on top of an empty cache, and of rows that are there
      for (const first of [0, 40]) {
        const { values, valueNorms, keys } = await engine.pass(cache, {
          tokens: ids,
          firstPosition: first,
          factsFrom: 0,
        });
        const asked = await plainNorms(engine, model, values);
        let sum = 0, count = 0;
        valueNorms!.forEach((norms, head) => {
          assert.equal(norms.length, ids.length);
          norms.forEach((norm, row) => {
            const off = Math.abs(norm / asked[head]![row]! - 1);
            assert.ok(off < tolerance.most, `head ${head}, row ${row}: ${norm} for ${asked[head]![row]}`);
            sum += off;
            count++;
          });
        });
        assert.ok(sum / count < tolerance.mean, `${sum / count} on the mean`);
        cache.append(keys, values, ids.length, first, first);
      }
    });
  }
});

/** @param values per head [rows, headDim] */
async function plainNorms({ config }: Engine, model: ModelFile, values: Float32Array[]): Promise<Float64Array[]> {
  const { layers, heads, kvHeads, headDim } = config, group = heads / kvHeads, norms: Float64Array[] = [];
  for (let layer = 0; layer < layers; layer++) {
    const { type, bytes, shape: [hidden, columns] } = await model.tensor(`layers.${layer}.self_attn.o_proj`);
    const matrix = dequantise(type, bytes);
    for (let h = 0; h < kvHeads; h++) {
      const rows = values[layer * kvHeads + h]!, out = new Float64Array(rows.length / headDim);
      for (let row = 0; row < out.length; row++) {
        for (let g = 0; g < group; g++) {
          for (let unit = 0; unit < hidden!; unit++) {
            let sum = 0;
            for (let d = 0; d < headDim; d++) {
              sum += rows[row * headDim + d]! * matrix[unit * columns! + (h * group + g) * headDim + d]!;
            }
            out[row]! += Math.abs(sum) / group;
          }
        }
      }
      norms.push(out);
    }
  }
  return norms;
}
