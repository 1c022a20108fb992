/**
 * `npm run real-on-gpu`: a real model's greedy answers on WebGPU against the CPU's (`engine/real_on_gpu.ts`, which has the flags), outside of `npm test`, as a
 * software driver takes minutes. The quickest driver for a machine without a GPU that is here; `--driver NAME` takes another of `software_gpus.ts`, and
 * `--driver own` the GPU that this runtime finds.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { root, type SoftwareGpu, softwareGpus } from "./software_gpus.ts";

const words = process.argv.slice(2), at = words.indexOf("--driver");
const wanted = at < 0 ? null : words.splice(at, 2)[1];
const [runtime, ...flags] = softwareGpus[0]!.command;
const own: SoftwareGpu = { name: "own", command: [runtime!, ...flags], env: process.env, adapter: /./, missing: null };
const drivers = [own, ...softwareGpus];
const driver = wanted === null
  ? softwareGpus.findLast(({ missing }) => missing === null)
  : drivers.find(({ name }) => name === wanted);
if (!driver || driver.missing) {
  const why = driver?.missing ??
    `there are ${drivers.map(({ name, missing }) => `"${name}"${missing ? ` (${missing})` : ""}`)}`;
  console.error(`No driver${wanted === null ? "" : ` "${wanted}"`}: ${why}`);
  process.exit(6);
}
console.log(`Driver: ${driver.name}`);
const [program, ...rest] = driver.command;
const { status, error } = spawnSync(program!, [...rest, "tests/engine/real_on_gpu.ts", ...words], {
  cwd: root,
  env: { ...driver.env, XDG_RUNTIME_DIR: driver.env.XDG_RUNTIME_DIR ?? "/tmp" },
  stdio: "inherit",
});
if (error) throw error;
process.exit(status ?? 1);
