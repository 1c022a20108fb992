import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { dataFolder } from "../../cli/folders.ts";
import { registry } from "../../cli/registry.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import { fingerprint } from "../../core/pack/fingerprint.ts";
import { PACK_METHODS, type PackMethod } from "../../core/pack/method.ts";
import { safetensorsBytes } from "../engine/safetensors_bytes.ts";
import { files, fixture } from "../host.ts";
import { packMetadata, packTensors } from "../packs.ts";
import { palimpsest, withFolder } from "./helpers.ts";

const path = fixture("gguf/llama.q8_0.gguf");
const model = await openGguf(await files.open(path));
const own = await fingerprint(model), { config } = model;
await model.close();

/** Puts a pack where `training/` would. */
function addPack(data: string, method: PackMethod, fingerprint: string, more: Record<string, string> = {}) {
  const folder = join(data, "packs", "tiny");
  mkdirSync(folder, { recursive: true });
  const bytes = safetensorsBytes(packTensors[method](config), packMetadata(method, { fingerprint, ...more }));
  writeFileSync(join(folder, `${method}.safetensors`), bytes);
  return join(folder, `${method}.safetensors`);
}

const text = "The lighthouse keeper painted the door green on a Tuesday. The sea was calm. ".repeat(40);
const ask = (folder: string, policy: string) =>
  palimpsest(
    [
      "ask",
      "-m",
      path,
      "--policy",
      policy,
      "--kv-budget",
      "64",
      "--chunk",
      "64",
      "--max-tokens",
      "8",
      "--json",
      "Who?",
    ],
    {
      stdin: text,
      env: { PALIMPSEST_DATA: join(folder, "data"), PALIMPSEST_CACHE: join(folder, "cache"), PALIMPSEST_DEVICE: "cpu" },
    },
  );

for (const method of PACK_METHODS) {
  test(`ask --policy ${method}: answers with the user's pack, twice the same; without it, the command that trains one`, () =>
    withFolder(async (folder) => {
      const without = await ask(folder, method);
      assert.equal(without.code, 5, without.stderr);
      const { message } = JSON.parse(without.stdout);
      assert.match(message, new RegExp(`no pack of ${method}.*python -m training\\.${method} \\S+llama\\.q8_0\\.gguf`));

      addPack(join(folder, "data"), method, own);
      const [first, second] = [await ask(folder, method), await ask(folder, method)];
      assert.equal(first.code, 0, first.stdout + first.stderr);
      const record = JSON.parse(first.stdout);
      assert.equal(record.policy.name, method);
      assert.ok(record.kv.compactions > 0);
      assert.equal(JSON.parse(second.stdout).answer, record.answer);

      addPack(join(folder, "data"), method, own, { version: "2" });
      const newer = await ask(folder, method);
      assert.equal(newer.code, 5);
      assert.match(JSON.parse(newer.stdout).message, /version is "2", where "1" works/);
    }));

  test(`policies ${method}: whether the default model's pack is here, and what it measured`, () =>
    withFolder(async (folder) => {
      const env = { PALIMPSEST_DATA: folder };
      const { fingerprint, name } = registry[0]!, path = addPack(folder, method, fingerprint);
      const shown = await palimpsest(["policies", method], { env });
      assert.match(shown.stdout, new RegExp(`^pack +${method} for ${name}: hit 12\\.5 % 71\\.5, kl 0\\.5$`, "m"));
      const told = JSON.parse((await palimpsest(["policies", method, "--json"], { env })).stdout);
      assert.deepEqual(told.policies[0].packs, [
        { method, model: name, path, validation: { "hit 12.5 %": 71.5, kl: 0.5 } },
      ]);
    }));
}

test("models --json: the fingerprint that packs must have, which is that of the pulled file", async (t) => {
  const stored = await palimpsest(["models", "--json"], { env: cacheOfUser });
  const found = JSON.parse(stored.stdout).models.find(({ name }: { name: string }) => name === registry[0]!.name);
  if (!found) return t.skip("the default model is not on this machine");
  const model = await openGguf(await files.open(found.path));
  assert.equal(found.fingerprint, await fingerprint(model));
  await model.close();
});

const cacheOfUser = { PALIMPSEST_CACHE: process.env["PALIMPSEST_CACHE"] ?? "" };

test("dataFolder: the variable, else the platform's place", () => {
  assert.equal(dataFolder({ PALIMPSEST_DATA: "/d", XDG_DATA_HOME: "/x", HOME: "/h" }, "linux"), "/d");
  assert.equal(dataFolder({ XDG_DATA_HOME: "/x", HOME: "/h" }, "darwin"), "/x/palimpsest");
  assert.equal(dataFolder({ XDG_DATA_HOME: "x", HOME: "/h" }, "linux"), "/h/.local/share/palimpsest");
  assert.equal(dataFolder({ HOME: "/h" }, "darwin"), "/h/Library/Application Support/palimpsest");
  assert.equal(dataFolder({ HOME: "/h", APPDATA: "/r" }, "win32"), "/r/palimpsest");
});
