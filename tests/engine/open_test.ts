/** Models as a hub publishes them: what a path leads to, and that a folder is the model of the GGUF file made of it. */
import assert from "node:assert/strict";
import { cp, readFile, rename, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { NO_FEATURES } from "../../core/engine/features.ts";
import { openModelFile } from "../../core/engine/open.ts";
import { prepare } from "../../core/engine/prepare.ts";
import { neededFiles } from "../../core/engine/safetensors/folder.ts";
import { modelSha256 } from "../../core/model_hash.ts";
import { tokenizerOf } from "../../core/text/model_tokenizer.ts";
import { palimpsest, withFolder } from "../cli/helpers.ts";
import { asGguf } from "../golden/as_gguf.ts";
import { writeFolder } from "../golden/as_folder.ts";
import { list } from "../golden/open.ts";
import { files, fixture } from "../host.ts";
import { withHeader } from "./safetensors_bytes.ts";

const golden = (name: string) => fixture(`golden/models/${name}`);

/** What is computed with, as bytes. */
async function weightsOf(path: string, cache: string): Promise<Buffer> {
  const model = await openModelFile(files, path);
  try {
    const { weightsPath } = await prepare(files, cache, model, "blocks", NO_FEATURES);
    return await readFile(weightsPath);
  } finally {
    await model.close();
    await rm(cache, { recursive: true });
  }
}

for (const family of await list(fixture("golden/models"))) {
  test(`openModelFile ${family}: a folder in half precision, sharded or not, computes with the bytes of its GGUF file`, () =>
    withFolder(async (folder) => {
      const one = join(folder, "one"), three = join(folder, "three"), cache = join(folder, "cache");
      const gguf = join(folder, "model.gguf");
      for (const dtype of ["F32", "F16", "BF16"] as const) {
        await writeFolder(golden(family), one, { dtype });
        await writeFolder(golden(family), three, { dtype, shards: 3 });
        // GGUF has the scale of Gemma's queries in single precision, which this one's is exact in
        for (const path of [one, three]) await change("config.json", (c) => c.query_pre_attn_scalar &&= 64)(path);
        await writeFile(gguf, await asGguf(one));
        const expected = await weightsOf(gguf, cache);
        assert.ok(expected.length > 100_000);
        for (const path of [one, three]) assert.ok(expected.equals(await weightsOf(path, cache)), `${dtype} ${path}`);
      }
    }));
}

test("openModelFile: a folder, its weights, a shard and the index are one model; a file's first bytes say what it is", () =>
  withFolder(async (folder) => {
    const model = join(folder, "model"), names = ["model-00002-of-00002.safetensors", "model.safetensors.index.json"];
    await writeFolder(golden("qwen3"), model, { dtype: "BF16", shards: 2 });
    const found = new Set<string>();
    for (const path of [model, ...names.map((name) => join(model, name)), join(model, "config.json")]) {
      const opened = await openModelFile(files, path);
      assert.deepEqual([opened.format, opened.path, opened.config.architecture], ["safetensors", model, "qwen3"]);
      found.add(await modelSha256(files, opened));
      await opened.close();
    }
    assert.equal(found.size, 1);
    await writeFile(join(folder, "named_otherwise"), await asGguf(golden("qwen3")));
    const gguf = await openModelFile(files, join(folder, "named_otherwise"));
    assert.equal(gguf.format, "gguf");
    await gguf.close();
    await writeFile(join(folder, "text.txt"), "A text.\n");
    await assert.rejects(openModelFile(files, join(folder, "text.txt")), { code: 5, message: /neither GGUF nor/ });
    await writeFile(join(folder, "text.gguf"), "A text.\n");
    await assert.rejects(openModelFile(files, join(folder, "text.gguf")), { code: 5, message: /GGUF/ });
    await assert.rejects(openModelFile(files, join(folder, "nothing")), { code: 5, message: /no such file/ });
  }));

test("modelSha256: what sha256sum says of a folder's files; every one that decides over an answer changes it", () =>
  withFolder(async (folder) => {
    const model = join(folder, "model"), found = new Set<string>();
    await writeFolder(golden("llama3rope"), model, { dtype: "F32", shards: 2 });
    const hash = async () => {
      const opened = await openModelFile(files, model);
      await opened.close();
      return await modelSha256(files, opened);
    };
    const { stdout } = await palimpsest(["-c", "sha256sum $(LC_ALL=C ls) | sha256sum"], { program: "sh", cwd: model });
    assert.equal(await hash(), stdout.slice(0, 64));
    await writeFile(join(model, "README.md"), "Not read");
    assert.equal(await hash(), stdout.slice(0, 64));
    for (const name of [...await list(model), "chat_template.jinja"]) {
      const path = join(model, name), before = await readFile(path, "latin1").catch(() => null);
      if (name.endsWith(".safetensors")) {
        const bytes = await readFile(path);
        bytes[bytes.length - 1]! ^= 1;
        await writeFile(path, bytes);
      } else await writeFile(path, `${before ?? "template"}\n`, "latin1");
      found.add(await hash());
      if (before === null) await rm(path);
      else await writeFile(path, before, "latin1");
    }
    // config.json, generation_config.json, tokenizer.json, tokenizer_config.json, the template, the index and two files; and the README's, which is none
    assert.equal(found.size, 9);
    assert.equal(await hash(), stdout.slice(0, 64));
  }));

test("tokenizerOf: templates from a file, a list and a text; ends from generation_config.json, else config.json", () =>
  withFolder(async (folder) => {
    await writeFolder(golden("llama3rope"), folder, { dtype: "F32" });
    const path = (name: string) => join(folder, name);
    const put = (name: string, value: unknown) => writeFile(path(name), JSON.stringify(value));
    const open = async () => {
      const model = await openModelFile(files, folder);
      await model.close();
      return await tokenizerOf(model);
    };
    await put("generation_config.json", { eos_token_id: [2, 7, 9] });
    assert.deepEqual([(await open()).chatTemplate, [...(await open()).stopIds]], [null, [2, 7, 9]]);
    await rm(path("generation_config.json"));
    await put("tokenizer_config.json", { eos_token: null, chat_template: "text" });
    assert.deepEqual([(await open()).chatTemplate, [...(await open()).stopIds]], ["text", [2]]);
    const templates = [{ name: "tool_use", template: "tools" }, { name: "default", template: "listed" }];
    await put("tokenizer_config.json", { eos_token: null, chat_template: templates });
    assert.equal((await open()).chatTemplate, "listed");
    await writeFile(path("chat_template.jinja"), "file");
    assert.equal((await open()).chatTemplate, "file");
    await rm(path("tokenizer_config.json"));
    assert.equal((await open()).chatTemplate, "file");

    const refused = async (message: RegExp) => await assert.rejects(open(), { name: "ModelError", code: 5, message });
    await put("generation_config.json", [2]);
    await refused(/generation_config\.json is no JSON object/);
    await rm(path("generation_config.json"));
    await writeFile(path("chat_template.jinja"), Uint8Array.of(0xff));
    await refused(/chat_template\.jinja is no text/);
    await rm(path("chat_template.jinja"));
    await put("tokenizer.json", { model: { type: "BPE", vocab: { a: 0 }, merges: [] }, added_tokens: 7 });
    await refused(/tokenizer\.json is damaged/);
    await put("tokenizer.json", {});
    await refused(/tokenizer\.json is incomplete/);
    await rm(path("tokenizer.json"));
    await refused(/it has no tokenizer\.json; fetch it/);
    await writeFile(path("tokenizer.model"), "");
    await refused(/transformers makes one from its tokenizer\.model/);
  }));

const SHARD = "model-00002-of-00002.safetensors", INDEX = "model.safetensors.index.json";
const change = (name: string, edit: (json: any) => void) => async (folder: string) => {
  const path = join(folder, name), json = JSON.parse(await readFile(path, "utf8"));
  edit(json);
  await writeFile(path, JSON.stringify(json));
};

const BROKEN: [what: string, harm: (folder: string) => Promise<void>, message: RegExp][] = [
  ["no config.json", (f) => rm(join(f, "config.json")), /it has no config\.json; a Hugging Face folder/],
  ["an unknown family", change("config.json", (c) => c.model_type = "mamba"), /model_type is "mamba"; llama, .*works/],
  ["a missing shard", (f) => rm(join(f, SHARD)), /1 of its 2 files of weights are missing, fetch model-00002-of-00002/],
  ["no index", (f) => rm(join(f, INDEX)), /neither model\.safetensors nor .*; fetch the index/],
  [
    "an index that sees a tensor where it is not",
    change(INDEX, (i) => i.weight_map["lm_head.bias"] = SHARD),
    /index\.json says that model-00002-of-00002\.safetensors holds "lm_head\.bias", and it does not/,
  ],
  [
    "a truncated shard",
    (f) => truncate(join(f, SHARD), 200_000),
    /-00002-of-00002\.safetensors: array .* the file has 200000/,
  ],
  [
    "a shard cut in its header",
    (f) => truncate(join(f, SHARD), 100),
    /claim a header of \d+ bytes, but the file has 100/,
  ],
  [
    "a wrong shape",
    change("config.json", (c) => c.intermediate_size /= 2),
    /tensor layers\.0\.mlp\.gate_proj has shape .*, where its configuration asks for/,
  ],
  [
    "8-bit floats",
    (f) =>
      writeFile(
        join(f, SHARD),
        withHeader('{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}', [new Uint8Array(1)]),
      ),
    /"w" has dtype "F8_E4M3", where .*F32.* work/,
  ],
  [
    "arrays over each other",
    (f) =>
      writeFile(
        join(f, SHARD),
        withHeader(
          '{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}}',
          [new Uint8Array(5)],
        ),
      ),
    /arrays "a" and "b" overlap/,
  ],
  [
    "pickled weights only",
    async (f) => {
      await rm(join(f, INDEX));
      await rm(join(f, "model-00001-of-00002.safetensors"));
      await rename(join(f, SHARD), join(f, "pytorch_model.bin"));
    },
    /pytorch_model\.bin cannot be used, safetensors or GGUF works/,
  ],
  [
    "GGUF files",
    async (f) => {
      await rm(join(f, "config.json"));
      await writeFile(join(f, "a.Q8_0.gguf"), "");
    },
    /folder of GGUF files, name one: a\.Q8_0\.gguf/,
  ],
];

test("openModelFile refuses broken folders with exit 5, and says what is wrong", () =>
  withFolder(async (folder) => {
    const whole = join(folder, "whole"), broken = join(folder, "broken");
    await writeFolder(golden("llama"), whole, { dtype: "F16", shards: 2 });
    for (const [what, harm, message] of BROKEN) {
      await cp(whole, broken, { recursive: true });
      await harm(broken);
      await assert.rejects(openModelFile(files, broken), { name: "ModelError", code: 5, message }, what);
      await rm(broken, { recursive: true });
    }
  }));

test("neededFiles: of a repository's files, those of the model", () => {
  const beside = ["config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json"];
  const shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", INDEX];
  const others = [
    ".gitattributes",
    "README.md",
    "onnx/model.onnx",
    "original/params.json",
    "pytorch_model.bin",
    "tf_model.h5",
  ];
  const needed = (names: string[]) => neededFiles(names).sort();
  assert.deepEqual(needed([...others, ...beside, ...shards]), [...beside, ...shards].sort());
  assert.deepEqual(needed([...others, ...beside, "model.safetensors"]), [...beside, "model.safetensors"].sort());
  assert.deepEqual(needed(["config.json", "pytorch_model.bin"]), []);
  assert.deepEqual(needed(["model.safetensors", "README.md"]), []);
});
