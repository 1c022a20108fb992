/**
 * The engine on the GPU that the runtime finds, against the golden vectors and the CPU engine; prints what it compared as JSON. A process of its own, under
 * Bun and under Deno (`webgpu_test.ts` starts it, with words of the checks wanted or none for all): the driver is chosen by the environment, before the runtime looks for it.
 */
import process from "node:process";
import { checks } from "./gpu_checks.ts";
import { halfChecks } from "./half_checks.ts";
import { openTestGpu } from "./gpu_device.ts";

const gpu = await openTestGpu();
console.log(JSON.stringify({ adapter: gpu.adapter.name, kind: gpu.adapter.kind, features: [...gpu.features] }));
const words = process.argv.slice(2);
const all = { ...checks, ...(gpu.features.has("shader-f16") ? halfChecks : {}) };
for (const [name, check] of Object.entries(all)) {
  if (words.length > 0 && !words.some((word) => name.includes(word))) continue;
  const started = performance.now();
  const found = await check(gpu.device, gpu.memory).catch((
    error,
  ) => [{ ok: false, text: String(error?.stack ?? error) }]);
  console.log(JSON.stringify({ name, ms: Math.round(performance.now() - started), found }));
}
process.exit(0);
