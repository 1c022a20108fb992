import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openModelFile } from "../../core/engine/open.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import { fingerprint } from "../../core/pack/fingerprint.ts";
import { files, fixture } from "../host.ts";
import { withFolder } from "../cli/helpers.ts";
import { asGguf } from "../golden/as_gguf.ts";
import { writeFolder } from "../golden/as_folder.ts";
import { TINY } from "../tiny_llama.ts";
import { openSafetensors } from "../../core/engine/safetensors.ts";

async function using<T>(name: string, use: (model: ModelFile) => Promise<T>): Promise<T> {
  const model = await openGguf(await files.open(fixture(`gguf/${name}.gguf`)));
  try {
    return await use(model);
  } finally {
    await model.close();
  }
}
const of = (name: string) => using(name, fingerprint);

test("fingerprint: the same for all quantisations of a checkpoint, another for another checkpoint", async () => {
  const f32 = await of("llama.f32"), q8 = await of("llama.q8_0");
  assert.equal(f32, q8);
  // as `training/` computes it in Python
  assert.equal(f32, "961111d011cf87fcf2b8e398d3009cd01ff9780e22a0685e9e705708fd49e4d4");
  assert.match(f32, /^[0-9a-f]{64}$/);
  const other = await of("llama3rope.q4_0");
  assert.equal(other, await of("llama3rope.q8_0"));
  assert.notEqual(other, f32);
});

test("fingerprint: a token, a norm or a shape that differs makes another", async () => {
  await using("llama.f32", async (model) => {
    const own = await fingerprint(model), tokens = model.metadata.get("tokenizer.ggml.tokens") as string[];
    const others: Partial<ModelFile>[] = [
      { metadata: new Map([["tokenizer.ggml.tokens", tokens.with(7, "other")]]) },
      { metadata: new Map([["tokenizer.ggml.tokens", tokens.slice(0, -1)]]) },
      { config: { ...model.config, kvHeads: 1 } },
      {
        async tensor(name) {
          const tensor = await model.tensor(name), bytes = tensor.bytes.slice();
          if (name === "layers.2.post_attention_layernorm") bytes[0]! ^= 1;
          return { ...tensor, bytes };
        },
      },
    ];
    const found = new Set([own]);
    for (const other of others) found.add(await fingerprint({ ...model, ...other }));
    assert.equal(found.size, 1 + others.length);
  });
});

test("fingerprint: a model without a vocabulary in its files is refused", async () => {
  const model = await openSafetensors(files, TINY);
  await assert.rejects(fingerprint(model), { name: "ModelError", code: 5, message: /it has no tokenizer\.json/ });
  await model.close();
});

test("fingerprint: a Hugging Face folder has that of the GGUF file made of it", () =>
  withFolder(async (folder) => {
    const golden = fixture("golden/models/llama"), gguf = join(folder, "model.gguf");
    await writeFolder(golden, join(folder, "model"), { dtype: "F32" });
    await writeFile(gguf, await asGguf(golden));
    const found: string[] = [];
    for (const path of [gguf, join(folder, "model")]) {
      const model = await openModelFile(files, path);
      found.push(await fingerprint(model));
      await model.close();
    }
    assert.equal(found[0], found[1]);
  }));
