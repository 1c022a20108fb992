/**
 * What policies cost on the GPU that is here: Moby Dick is read under each, and the kernels' time on the GPU is set against the bytes that they must move
 * (`gpu/traffic.ts`), which is the bandwidth that they reach. What `npm run gpu-cost` models, measured.
 *
 *   npm run gpu-speed -- [--policies question-quote,snapkv] [--tokens 4096] [--budget 1024] [--chunk 1024] [--model smollm2-135m] [--kv-type auto|f32|f16|int8] [--wall] [--allow-software]
 *
 * Per policy three readings of the same text: one to warm up; one at full speed, which then writes; one in which every compute pass of our kernels is
 * timed (`gpu/timed_reading.ts`). `--wall` times them by the CPU's clock, as where a
 * device has no timestamps: with the probes' passes and what the CPU does meanwhile. `PALIMPSEST_RUNTIME=deno` runs it under Deno.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { cacheFolder } from "../cli/folders.ts";
import { gpus } from "../cli/gpus.ts";
import { files } from "../cli/host.ts";
import { packFiles } from "../cli/packs.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import { resolveModel } from "../cli/store.ts";
import { PalimpsestError } from "../core/errors.ts";
import type { Gpu } from "../kernels/gpu.ts";
import type { KvTypeWish } from "../kernels/reading/plan.ts";
import { openModel } from "../mod.ts";
import { measure } from "./gpu/timed_reading.ts";

const { values: flags } = parseArgs({
  options: {
    policies: { type: "string", default: "question-quote,snapkv" },
    tokens: { type: "string", default: "4096" },
    budget: { type: "string", default: "1024" },
    chunk: { type: "string" },
    model: { type: "string" },
    "kv-type": { type: "string", default: "auto" },
    wall: { type: "boolean", default: false },
    "allow-software": { type: "boolean", default: false },
  },
});
const kvType = flags["kv-type"] as KvTypeWish;
const sizes = {
  tokens: Number(flags.tokens),
  slots: Number(flags.budget),
  wall: flags.wall,
  chunkTokens: flags.chunk === undefined ? null : Number(flags.chunk),
};
const line = (cells: (string | number)[]) => console.log(`| ${cells.join(" | ")} |`);
const digits = (number: number) => number.toPrecision(3).replace(/^(\d+)\.?e\+\d+$/, () => number.toFixed(0));

async function run(): Promise<void> {
  const cache = cacheFolder();
  const stored = await resolveModel(cache, flags.model ?? process.env["PALIMPSEST_TEST_MODEL"] ?? "smollm2-135m");
  let isFirst = true;
  for (const policy of flags.policies.split(",")) {
    let gpu: Gpu | null = null;
    const model = await openModel({
      path: stored.path,
      ...("sha256" in stored && stored.sha256 ? { sha256: stored.sha256 } : {}),
      device: "webgpu",
      gpu: () => gpus.opener({ allowSoftware: flags["allow-software"], kvType, onGpu: (opened) => gpu = opened }),
      cacheFolder: cache,
      files,
      policy,
      packs: packFiles,
      runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
    });
    try {
      const found = await measure(model, gpu!, policy, sizes);
      if (isFirst) heading(model.name, gpu!, found);
      isFirst = false;
      line([
        `\`${policy}\``,
        digits(found.readPerSecond),
        digits(found.chunkMs),
        digits(found.kernelMs),
        `${(100 * found.kernelMs / found.chunkMs).toFixed(1)} %`,
        digits(found.bytes / 1e6),
        digits(found.bytes / found.kernelMs / 1e6),
        digits(found.writtenPerSecond),
      ]);
    } finally {
      await model.close();
    }
  }
}

function heading(name: string, { adapter }: Gpu, found: Awaited<ReturnType<typeof measure>>): void {
  const { slots, chunkTokens, tokens, isTimed, tick, written, kvType } = found;
  console.log(
    `${name} on ${adapter.name}` +
      (adapter.kind === "hardware" ? "" : " (a software adapter: this proves nothing about speed)") +
      `: ${tokens} tokens, ${slots} slots, chunks of ${chunkTokens}, compact positions, ${written} tokens written, keys and values in ${kvType}.`,
  );
  console.log(
    (isTimed
      ? "Kernels' time: timestamps around their compute passes, those of chunks that were compacted" +
        (tick === 1 ? "" : `; a tick of this GPU's clock was taken to be ${digits(tick)} ns`)
      : "Kernels' time: no timestamps, but wall time from the end of a chunk's pass to the end of its compaction, " +
        "probes' passes and the CPU's work included: the bandwidth is a lower bound") +
      ". MB: what they must move, by their own files.\n",
  );
  line([
    "policy",
    "tokens/s read",
    "ms per chunk",
    "kernels, ms per chunk",
    "share",
    "MB per chunk",
    "GB/s",
    "tokens/s written",
  ]);
  line(["---", ...Array.from({ length: 7 }, () => "---:")]);
}

try {
  await run();
} catch (error) {
  if (!(error instanceof PalimpsestError)) throw error;
  console.error(`gpu-speed: ${error.message}`);
  process.exitCode = 1;
}
// Dawn and ONNX Runtime keep the process alive
process.exit();
