/** The command line on models as a hub publishes them: folders with safetensors weights. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { asGguf } from "../golden/as_gguf.ts";
import { writeFolder } from "../golden/as_folder.ts";
import { fixture } from "../host.ts";
import { palimpsest, runtimes, withFolder } from "./helpers.ts";

const golden = fixture("golden/models/llama"), question = "How many cranes?";

test("ask, plan and models path take a folder, its index or a shard, and answer as with the GGUF file made of it", () =>
  withFolder(async (folder) => {
    const model = join(folder, "Tiny-Llama"), gguf = join(folder, "tiny.gguf"), text = join(folder, "text.txt");
    await writeFolder(golden, model, { dtype: "BF16", shards: 2 });
    await writeFolder(golden, join(folder, "one"), { dtype: "BF16" });
    writeFileSync(gguf, await asGguf(join(folder, "one")));
    writeFileSync(text, "The harbour keeps two cranes. ".repeat(40));
    const run = async (args: string[], runtime: string = "bun", cwd = folder) => {
      const env = { PALIMPSEST_CACHE: join(folder, "cache"), PALIMPSEST_RUNTIME: runtime };
      const { code, stdout, stderr } = await palimpsest(args, { env, cwd });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const ask = async (path: string, runtime?: string) =>
      JSON.parse(
        await run(
          ["ask", "--json", "-m", path, "--device", "cpu", "--policy", "question", "--kv-budget", "300", "-n", "12"]
            .concat(text, question),
          runtime,
        ),
      );
    const expected = await ask(gguf);
    assert.ok(expected.answer.length > 0 && expected.kv.compactions > 0);
    const hashes = new Set<string>();
    for (const runtime of runtimes) {
      const record = await ask(model, runtime);
      assert.deepEqual([record.answer, record.kv], [expected.answer, expected.kv], runtime);
      assert.deepEqual([record.model.name, record.model.architecture], ["Tiny-Llama", "llama"]);
      hashes.add(record.model.sha256);
    }
    for (const file of ["model.safetensors.index.json", "model-00001-of-00002.safetensors"]) {
      const record = await ask(join(model, file));
      assert.deepEqual([record.answer, record.model.name], [expected.answer, "Tiny-Llama"], file);
      hashes.add(record.model.sha256);
    }
    assert.equal(hashes.size, 1);
    // a bare name, where no pulled model has it
    const planned = JSON.parse(await run(["plan", "--json", "-m", "Tiny-Llama", "--device", "cpu", text]));
    assert.deepEqual([planned.model.sha256, planned.model.name], [[...hashes][0], "Tiny-Llama"]);
    assert.equal(planned.document.tokens, expected.document.tokens);
    assert.equal(await run(["models", "path", "./Tiny-Llama"]), `${model}\n`);
    // the cache of the hub's own tools
    const cached = join(folder, "hub", "models--tiny--Llama-1B", "snapshots", "0123abc");
    await mkdir(join(cached, ".."), { recursive: true });
    await rename(model, cached);
    const fromCache = JSON.parse(await run(["plan", "--json", "-m", cached, "--device", "cpu", text]));
    assert.deepEqual(fromCache.model, { ...planned.model, name: "tiny/Llama-1B" });
  }));

test("a folder that is no complete model: exit 5, in words and as JSON", () =>
  withFolder(async (folder) => {
    const model = join(folder, "model"), text = join(folder, "text.txt");
    writeFileSync(text, "The harbour keeps two cranes. ");
    await writeFolder(golden, model, { dtype: "F16", shards: 2 });
    const refused = async (message: RegExp) => {
      for (const args of [["ask", "--json", "-m", model, text, question], ["plan", "--json", "-m", model, text]]) {
        const { code, stdout } = await palimpsest(args, { env: { PALIMPSEST_CACHE: join(folder, "cache") } });
        const error = JSON.parse(stdout);
        assert.deepEqual([code, error.schema, error.code], [5, "palimpsest.error/1", 5]);
        assert.match(error.message, message);
      }
    };
    await rm(join(model, "tokenizer.json"));
    await refused(/it has no tokenizer\.json/);
    rmSync(join(model, "model-00001-of-00002.safetensors"));
    await refused(/1 of its 2 files of weights are missing, fetch model-00001-of-00002\.safetensors/);
    await rm(join(model, "config.json"));
    await refused(/it has no config\.json/);
  }));
