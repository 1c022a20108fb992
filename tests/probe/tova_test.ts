import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { tova } from "../../core/probe/tova.ts";
import { ReferenceLlama, referenceMass } from "../engine/reference_llama.ts";
import { openTiny, tokens } from "../tiny_llama.ts";
import { KvCache } from "../../core/cache.ts";
import { look, worst } from "./context.ts";

const { engine, model, close } = await openTiny({ features: { mass: ["mean"] } });

describe("tova", () => {
  after(close);

  test("the chunk's last row alone asks", async () => {
    const ids = tokens(40, 2), { evidence } = await look(engine, tova(), { ids, size: 25 });
    const reference = await ReferenceLlama.load(model);
    const asked = referenceMass(reference.forward(new KvCache(engine.config, 1), ids, 0), 1, "mean");
    assert.ok(worst(evidence.mean!, asked) < 1e-5);
    assert.equal(evidence.rows, 1);
  });
});
