/** What `plan` says of a model some of whose layers see the newest tokens only. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { asGguf } from "../golden/as_gguf.ts";
import { fixture } from "../host.ts";
import { palimpsest, withFolder } from "./helpers.ts";

test("plan: sliding layers are beside the budget, in words and in the record", () =>
  withFolder(async (folder) => {
    const model = join(folder, "gemma.gguf"), text = join(folder, "text.txt"), env = { PALIMPSEST_CACHE: folder };
    writeFileSync(model, await asGguf(fixture("golden/models/gemma3_text")));
    writeFileSync(text, "The harbour keeps two cranes. ".repeat(20));
    const plan = async (path: string, ...flags: string[]) => {
      const args = ["plan", "--model", path, "--device", "cpu", "--kv-budget", "100", ...flags, text];
      const { code, stdout, stderr } = await palimpsest(args, { env });
      assert.equal(code, 0, stderr);
      return stdout;
    };
    const { kv } = JSON.parse(await plan(model, "--json"));
    assert.deepEqual(kv.slidingLayers, { layers: 3, ofLayers: 4, windowTokens: 64 });
    assert.match(await plan(model), /3 of 4 layers keep only their newest 64 tokens/);
    // keys, values, source and position of one head's slots, and of the other layers the rows of their windows
    const slots = kv.capacitySlots * (32 * 2 * 4 + 8), windows = 3 * (63 + 64) * 32 * 2 * 4;
    assert.equal(kv.bytes, slots + windows);
    const llama = JSON.parse(await plan(fixture("gguf/llama.f32.gguf"), "--json"));
    assert.equal(llama.kv.slidingLayers, null);
  }));
