/** The cost model's parts that can be wrong without a GPU: a formula for every kernel, numbers that each launch really has, and sums done by hand. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { recordPolicy } from "../../bench/gpu/recorded.ts";
import { chips, models } from "../../bench/gpu/shapes.ts";
import { forward, forwardSeconds, launchSeconds } from "../../bench/gpu/time.ts";
import { formulas, trafficOf } from "../../bench/gpu/traffic.ts";
import { parsePolicy, policies } from "../../core/policies.ts";
import { kernels } from "../../kernels/all.ts";
import { unsupportedOnGpu } from "../../kernels/reading/supported.ts";

const sizes = { budget: 1024, chunkTokens: 512, question: 30, reserve: 300, positions: "compact" } as const;
const slots = { live: 1536, kept: 1024, written: 0 };

describe("cost model", () => {
  test("there is a formula for every kernel, and none for what is no kernel", () => {
    assert.deepEqual(Object.keys(formulas).sort(), kernels.map(({ name }) => name).sort());
  });

  test("every launch of every policy with a form has a cost", async () => {
    const seen = new Set<string>();
    for (const name of Object.keys(policies)) {
      const policy = parsePolicy(name);
      if (!policy.evicts || unsupportedOnGpu(policy)) continue;
      const { chunk, live } = await recordPolicy(models["smollm2-135m"]!, policy, sizes);
      assert.equal(live, 1536, name);
      for (const launch of chunk.launches) {
        seen.add(launch.name);
        const { bytes, operations, rounds } = trafficOf(launch, slots), what = `${name}, ${launch.name}`;
        assert.ok(bytes > 0 && Number.isFinite(bytes) && operations >= 0 && rounds >= 1, what);
        const [laptop, large] = chips.map((chip) => launchSeconds(launch, slots, chip));
        // where workgroups are few, the chip with the quicker cores wins, not the larger one
        assert.ok(laptop! >= 5e-6 && large! >= 5e-6, what);
      }
    }
    assert.ok(seen.size >= 45, `${seen.size} kernels`);
  });

  test("bytes and operations as by hand", async () => {
    // 24 layers, 32 heads of 64 numbers: a compaction of 1,024 slots that stay
    const { chunk } = await recordPolicy(models["smollm2-1.7b"]!, parsePolicy("snapkv"), sizes);
    const sum = (name: string, of: "bytes" | "operations") =>
      chunk.launches.filter((launch) => launch.name === name)
        .reduce((all, launch) => all + trafficOf(launch, slots)[of], 0);
    const moved = 24 * 32 * 1024 * 2 * 4; // a word of every slot that stays, read and written
    assert.equal(sum("gather", "bytes"), moved * (64 + 1)); // values, and the slots' sources
    assert.equal(sum("gather_rotate", "bytes"), moved * 64 + moved / 2 * 8); // and positions, for each 8 columns
    // 64 rows look at 1,536 slots in each of 32 heads
    assert.equal(sum("softmax_rows", "operations"), 24 * 2 * 64 * 1536 * 32 * 64);
    assert.equal(chunk.launches.filter(({ name }) => name === "softmax_rows").length, 24);
    assert.deepEqual(chunk.passes, [512]);
    assert.equal(chunk.readBack, 4 * (3 + 24));
  });

  test("a forward pass as by hand", () => {
    // 4 h² of attention and 3 h f of the feed-forward part, in each of 24 layers
    const weights = 24 * (4 * 2048 * 2048 + 3 * 2048 * 8192);
    const pass = forward(models["smollm2-1.7b"]!, 512, 1024, 0, false);
    assert.equal(pass.operations, 2 * 512 * weights + 4 * 512 * (1024 + 256.5) * 24 * 2048);
    assert.equal(pass.bytes, weights * 20.5 / 32 + 8 * 24 * 2048 * (1024 + 512));
    // bound by arithmetic, as a chunk should be
    assert.equal(forwardSeconds(pass, chips[0]!), pass.dispatches * 5e-6 + pass.operations / 14.6e12);
  });
});
