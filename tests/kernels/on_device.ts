/**
 * Runs every kernel in every case on the device that the runtime finds, against its reference, and prints what it did as JSON. A process of its own: the
 * driver is chosen by the environment, before the runtime looks for it, and the same script runs under Bun and Deno (`devices_test.ts` starts it).
 * With the word `as-it-is` only with the limits that the adapter has.
 */
import process from "node:process";
import { loadWebGpu } from "../../cli/runtimes/webgpu.ts";
import { kernels } from "../../kernels/all.ts";
import { LEAST_LIMITS, openGpu } from "../../kernels/device/device.ts";
import { checkAllocation } from "./allocation.ts";
import { checkAsking } from "./ask_layers.ts";
import { checkCompaction } from "./compaction.ts";
import { checkCompensation } from "./compensation.ts";
import { checkDevice } from "./device_behaviour.ts";
import { checkInt8Rows } from "./int8_rows.ts";
import { runCase } from "./run_case.ts";
import { checkSelection } from "./selection.ts";

const webgpu = await loadWebGpu();
const failures: string[] = [];
/** Runs, and those of them over a cache in half precision. */
let cases = 0, halves = 0;

for (const least of process.argv.includes("as-it-is") ? [false] : [false, true]) {
  const adapter = await webgpu.requestAdapter();
  if (!adapter) throw new Error("no adapter");
  // once as the adapter is, once with no more than WebGPU promises
  const gpu = await openGpu(least ? leastOf(adapter) : adapter, { allowSoftware: true });
  for (const kernel of kernels) {
    for (const one of kernel.cases()) {
      cases++;
      const wrong = await runCase(gpu, kernel, one);
      if (wrong) failures.push(`${kernel.name}, ${one.name}${least ? ", least limits" : ""}: ${wrong}`);
      if (!gpu.features.has("shader-f16") || kernel.stored.length === 0) continue;
      halves++;
      gpu.kvType = "f16";
      const wrongHalf = await runCase(gpu, kernel, one);
      gpu.kvType = "f32";
      if (wrongHalf) failures.push(`${kernel.name} in f16, ${one.name}: ${wrongHalf}`);
    }
  }
  for (const positions of ["compact", "original"] as const) {
    failures.push(...await checkCompaction(gpu, positions).catch((error) => [`compaction: ${error.message}`]));
  }
  failures.push(...await checkAllocation(gpu).catch((error) => [`quotas: ${error.message}`]));
  failures.push(...await checkSelection(gpu).catch((error) => [`selection: ${error.message}`]));
  failures.push(...await checkAsking(gpu).catch((error) => [`asking: ${error.message}`]));
  if (!least) failures.push(...await checkInt8Rows(gpu).catch((error) => [`int8: ${error.message}`]));
  failures.push(...await checkCompensation(gpu).catch((error) => [`compensation: ${error.message}`]));
  if (!least) {
    console.log(JSON.stringify({ adapter: gpu.adapter.name, kind: gpu.adapter.kind, features: [...gpu.features] }));
  }
  gpu.close();
}
failures.push(...await checkDevice(webgpu).catch((error) => [`device: ${error.message}`]));
console.log(JSON.stringify({ kernels: kernels.length, cases, halves, failures }));
process.exit(failures.length ? 1 : 0);

/** The adapter, but saying that it can do no more than every adapter can. */
function leastOf(adapter: GPUAdapter): GPUAdapter {
  return {
    info: adapter.info,
    features: new Set(),
    limits: LEAST_LIMITS,
    requestDevice: () => adapter.requestDevice({ requiredLimits: { ...all(adapter), ...LEAST_LIMITS } }),
  } as unknown as GPUAdapter;
}

/** bun-webgpu wants every limit, or takes defaults that the adapter may not reach. */
function all(adapter: GPUAdapter): Record<string, number> {
  const limits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = Number(adapter.limits[name as keyof GPUSupportedLimits]);
    if (name.startsWith("max") && Number.isFinite(value)) limits[name] = value;
  }
  return limits;
}
