import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { graphsFolder } from "../../cli/folders.ts";
import { defaultModel, registry } from "../../cli/registry.ts";
import { addToStore, listStored, readStored, removeStored, resolveModel } from "../../cli/store.ts";
import { filesBelow, palimpsest, withFolder } from "./helpers.ts";

async function put(cache: string, name: string, text: string, file = `${name}.gguf`) {
  mkdirSync(join(cache, "models"), { recursive: true });
  const temporary = join(cache, "models", `.${name}-${Math.random()}.tmp`);
  writeFileSync(temporary, text);
  const sha256 = createHash("sha256").update(text).digest("hex");
  return await addToStore(cache, temporary, {
    name,
    file,
    source: "a test",
    sha256,
    size: text.length,
    pulled: "2026-11-22T00:00:00Z",
  });
}

test("registry: the default model is in it, names are store names, checksums are SHA-256", () => {
  assert.ok(registry.some((model) => model.name === defaultModel));
  for (const model of registry) {
    assert.match(model.name, /^[a-z0-9][a-z0-9._-]*$/);
    assert.ok(model.sources.length >= 2 && model.size > 0);
    for (const source of model.sources) if (source.sha256 !== undefined) assert.match(source.sha256, /^[0-9a-f]{64}$/);
  }
});

test("store: add, list, resolve by name and by path, remove with its graphs", async () => {
  await withFolder(async (cache) => {
    const model = await put(cache, "tiny", "weights");
    assert.deepEqual((await listStored(cache)).map((one) => one.name), ["tiny"]);
    assert.deepEqual(await resolveModel(cache, "tiny"), { name: "tiny", path: model.path, sha256: model.sha256 });
    assert.deepEqual(await resolveModel(cache, model.path), { name: "tiny", path: model.path });
    const graphs = graphsFolder(cache, model.sha256);
    mkdirSync(graphs, { recursive: true });
    writeFileSync(join(graphs, "a.onnx"), "12345");
    writeFileSync(join(dirname(graphs), "other"), "");
    const note = readFileSync(join(dirname(model.path), "model.json")).length;
    assert.equal(await removeStored(cache, "tiny"), note + "weights".length + 5);
    assert.equal(existsSync(graphs), false);
    assert.deepEqual(filesBelow(cache), ["other"]);
    await assert.rejects(removeStored(cache, "tiny"), { name: "ModelError" });
  });
});

test("store: a file of another size than noted is no model", async () => {
  await withFolder(async (cache) => {
    const model = await put(cache, "tiny", "weights");
    truncateSync(model.path, 3);
    assert.equal(await readStored(cache, "tiny"), null);
    await assert.rejects(resolveModel(cache, "tiny"), { name: "ModelError", message: /Unknown model "tiny"/ });
    await put(cache, "tiny", "weights");
    assert.equal((await readStored(cache, "tiny"))?.size, 7);
  });
});

test("store: the same model added many times at once is there once; another file takes its place", async () => {
  await withFolder(async (cache) => {
    await Promise.all(Array.from({ length: 10 }, () => put(cache, "tiny", "weights")));
    assert.deepEqual(filesBelow(cache), ["model.json", "tiny.gguf"]);
    await put(cache, "tiny", "other weights", "tiny.Q8_0.gguf");
    assert.deepEqual(filesBelow(cache), ["model.json", "tiny.Q8_0.gguf"]);
  });
});

test("store: names cannot leave it", async () => {
  await withFolder(async (cache) => {
    for (const name of ["..", ".", "", ".hidden", "a b"]) {
      await assert.rejects(readStored(cache, name), { name: "UsageError" }, name);
    }
  });
});

test("models: list, path and rm on the command line, plain and as JSON", async () => {
  await withFolder(async (cache) => {
    const model = await put(cache, "tiny", "weights");
    const env = { PALIMPSEST_CACHE: cache };
    assert.match(
      (await palimpsest(["models"], { env })).stdout,
      /^tiny +7 B +here +a test\nsmollm2-135m .*palimpsest pull smollm2-135m/,
    );
    const listed = JSON.parse((await palimpsest(["models", "list", "--json"], { env })).stdout);
    assert.deepEqual([listed.schema, listed.command, listed.default], [
      "palimpsest.models/1",
      "models",
      "smollm2-135m",
    ]);
    assert.deepEqual(listed.models.map((one: { name: string; sha256: string }) => [one.name, one.sha256]), [[
      "tiny",
      model.sha256,
    ]]);
    assert.equal((await palimpsest(["models", "path", "tiny"], { env })).stdout, `${model.path}\n`);
    const removed = await palimpsest(["models", "rm", "tiny", "--json"], { env });
    assert.deepEqual([removed.code, JSON.parse(removed.stdout).removed], [0, "tiny"]);
    assert.deepEqual(filesBelow(cache), []);
  });
});
