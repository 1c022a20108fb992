/** Which adapters are taken, and that a device which computes wrongly is not: made-up adapters, so it needs no driver. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DeviceError } from "../../core/errors.ts";
import { describeAdapter } from "../../kernels/device/adapter.ts";
import { LEAST_LIMITS, openGpu, refusal } from "../../kernels/device/device.ts";
import { kvTypes } from "../../kernels/reading/plan.ts";
import { fakeAdapter } from "./fake_adapter.ts";

describe("describeAdapter", () => {
  for (
    const [what, info, kind] of [
      [
        "a GPU",
        { vendor: "nvidia", architecture: "turing", device: "", description: "NVIDIA GeForce RTX 2080" },
        "hardware",
      ],
      ["a GPU through Dawn", { vendor: "intel", device: "0x9a49", backendType: 6, adapterType: 2 }, "hardware"],
      [
        "SwiftShader under Deno",
        { vendor: "6880", device: "49374", description: "SwiftShader Device (Subzero)" },
        "software",
      ],
      [
        "SwiftShader under Bun",
        { vendor: "google", architecture: "swiftshader", device: "swiftshader-device-subzero" },
        "software",
      ],
      ["lavapipe", { vendor: "65541", device: "0", description: "llvmpipe (LLVM 15.0.6, 256 bits)" }, "software"],
      ["Windows' own", { vendor: "microsoft", device: "", description: "Microsoft Basic Render Driver" }, "software"],
      ["one that says it is a fallback", { vendor: "x", device: "y", isFallbackAdapter: true }, "software"],
      ["a CPU by Dawn's number", { vendor: "x", device: "y", backendType: 6, adapterType: 3 }, "software"],
      ["Dawn's null backend", { vendor: "", device: "null-backend", backendType: 1, adapterType: 3 }, "null"],
      ["the same, should its name change", { vendor: "", device: "", backendType: 1 }, "null"],
    ] as const
  ) {
    test(`${what} is ${kind}`, () => assert.equal(describeAdapter(fakeAdapter({ info })).kind, kind));
  }

  test("limits are numbers also where a runtime gives BigInts, and only those of the kind 'at most'", () => {
    const { limits } = describeAdapter(
      fakeAdapter({ limits: { maxBufferSize: 5n, minStorageBufferOffsetAlignment: 256 } }),
    );
    assert.equal(limits.maxBufferSize, 5);
    assert.equal("minStorageBufferOffsetAlignment" in limits, false);
  });

  test("the adapter's own isFallbackAdapter, which throws under Bun, is not read", () => {
    const adapter = fakeAdapter({});
    Object.defineProperty(adapter, "isFallbackAdapter", { get: () => assert.fail("read") });
    assert.equal(describeAdapter(adapter).kind, "hardware");
  });
});

describe("openGpu", () => {
  const software = { description: "llvmpipe" };

  test("the null backend is refused, --allow-software or not", async () => {
    const info = { device: "null-backend" };
    for (const allowSoftware of [false, true]) {
      await assert.rejects(
        openGpu(fakeAdapter({ info }), { allowSoftware }),
        isDeviceError(/computes nothing: no graphics driver/),
      );
    }
  });

  test("a software adapter is refused unless it is allowed", () => {
    const facts = describeAdapter(fakeAdapter({ info: software }));
    assert.match(refusal(facts)!, /"llvmpipe" is a software adapter, slower than the CPU device/);
    assert.equal(refusal(facts, { allowSoftware: true }), null);
  });

  test("WebGPU's least limits are enough, and one below is refused with its number", () => {
    assert.equal(refusal(describeAdapter(fakeAdapter({}))), null);
    for (const [name, least] of Object.entries(LEAST_LIMITS)) {
      const facts = describeAdapter(fakeAdapter({ limits: { [name]: least - 1 } }));
      assert.match(refusal(facts)!, new RegExp(`${name} is ${least - 1}, and at least ${least} is needed`));
    }
  });

  test("a device that cannot be had: the driver's reason, in a sentence", async () => {
    await assert.rejects(
      openGpu(fakeAdapter({ refuses: "out of handles" })),
      isDeviceError(/Cannot open GPU adapter "fake": out of handles/),
    );
  });

  const plain = (headDim: number) => ({ headDim, largeProducts: false });
  test("half precision is tried first where it is there, and f32 after it unless it is asked for", () => {
    const half = new Set(["shader-f16"] as const);
    assert.deepEqual(kvTypes(half, plain(64)), ["f16", "f32"]);
    assert.deepEqual(kvTypes(half, plain(64), "f16"), ["f16"]);
    assert.deepEqual(kvTypes(half, plain(64), "f32"), ["f32"]);
    assert.deepEqual(kvTypes(half, plain(64), "int8"), ["int8"]);
    assert.throws(() => kvTypes(half, plain(66), "int8"), isDeviceError(/66 numbers, .*--kv-type f32/));
    assert.deepEqual(kvTypes(half, plain(66)), ["f32"]);
    const large = { headDim: 64, largeProducts: true };
    assert.deepEqual(kvTypes(half, large), ["f32"]);
    assert.deepEqual(kvTypes(half, large, "f16"), ["f16"]);
    assert.throws(() => kvTypes(half, plain(66), "f16"), isDeviceError(/66 numbers, which is no multiple of 4/));
  });

  const right = (i: number) => 3 * i + 1;
  test("a device that gives zeros, as the null backend under another name", async () => {
    await assert.rejects(
      openGpu(fakeAdapter({ answers: () => 0 })),
      isDeviceError(/element 0 of its self-test is 0, not 1/),
    );
  });

  test("one wrong element of 1,024, and one wrong sum", async () => {
    await assert.rejects(
      openGpu(fakeAdapter({ answers: (i) => i === 1023 ? 3071 : right(i) })),
      isDeviceError(/element 1023 of its self-test is 3071, not 3070/),
    );
    await assert.rejects(
      openGpu(fakeAdapter({ answers: right })),
      isDeviceError(/sum over workgroup 0 .* is 3073, not 6112/),
    );
  });

  test("half precision that is silently zero, where all else is right, is not used", async () => {
    const sums = (i: number) => i < 1024 ? right(i) : 64 + 3 * (64 * 64 * (i - 1024) + 2016);
    const adapter = fakeAdapter({ answers: sums, features: ["shader-f16", "timestamp-query"] });
    assert.deepEqual(describeAdapter(adapter).features, ["shader-f16", "timestamp-query"]);
    const { features } = await openGpu(adapter);
    assert.deepEqual([...features], ["timestamp-query"]);
    assert.deepEqual(kvTypes(features, plain(64)), ["f32"]);
    assert.throws(() => kvTypes(features, plain(64), "f16"), isDeviceError(/no half precision.*--kv-type f32/));
  });

  test("a refused adapter's device is destroyed", async () => {
    let destroyed = 0;
    await assert.rejects(openGpu(fakeAdapter({ answers: () => NaN, onDestroy: () => destroyed++ })));
    assert.equal(destroyed, 1);
  });
});

function isDeviceError(message: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof DeviceError, String(error));
    assert.match(error.message, message);
    return true;
  };
}
