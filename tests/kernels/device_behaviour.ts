/** What an open GPU promises besides its kernels, checked on the device present. */
import type { WebGpu } from "../../cli/runtimes/webgpu.ts";
import { advance } from "../../kernels/forward/advance.ts";
import { openGpu } from "../../kernels/device/device.ts";
import { defineKernel } from "../../kernels/kernel.ts";

/** @returns what is wrong */
export async function checkDevice(webgpu: WebGpu): Promise<string[]> {
  const failures: string[] = [];
  const expect = (ok: boolean, what: string) => ok || failures.push(`device: ${what}`);
  const adapter = await webgpu.requestAdapter();
  const gpu = await openGpu(adapter!, { allowSoftware: true });

  // memory is counted, whoever allocates
  const { current } = gpu.memory;
  const one = await gpu.allocate(1000, "a test");
  const other = gpu.device.createBuffer({ size: 4096, usage: one.usage });
  expect(gpu.memory.current - current === 1008 + 4096, `${gpu.memory.current - current} bytes counted, not 5104`);
  one.destroy();
  one.destroy();
  other.destroy();
  expect(gpu.memory.current === current, `${gpu.memory.current - current} bytes counted after destroy, not 0`);
  expect(gpu.memory.peak >= current + 5104, `peak ${gpu.memory.peak}`);

  // borrowed buffers come back, and a steady state allocates nothing
  const live = await gpu.allocate(4 * 300, "a test");
  for (let round = 0; round < 5; round++) advanceOnce();
  const made = gpu.memory.created, pipelines = gpu.launches.pipelineCount;
  for (let round = 0; round < 600; round++) advanceOnce();
  expect(gpu.memory.created === made, `${gpu.memory.created - made} buffers made in a steady state`);
  expect(gpu.launches.pipelineCount === pipelines && pipelines === 1, `${pipelines} pipelines for one kernel`);
  const lengths = await gpu.read(live, new Uint32Array(300));
  expect(lengths.every((n) => n === 605), `605 launches gave ${lengths[0]}`);
  expect(gpu.bytesRead === 1200, `${gpu.bytesRead} bytes counted as read, not 1200`);

  // many launches with parameters of their own in one recording
  const recording = gpu.record();
  for (let i = 0; i < 700; i++) advance.record(recording, { end: live }, { heads: 1 + i % 300, count: i });
  recording.submit();
  const sums = new Uint32Array(300).fill(605);
  for (let i = 0; i < 700; i++) for (let h = 0; h <= i % 300; h++) sums[h]! += i;
  const met = await gpu.read(live, new Uint32Array(300));
  expect(met.every((n, h) => n === sums[h]), "700 launches in one recording went wrong");

  const tooMuch = await gpu.allocate(2 ** 45, "a test").catch((error) => error);
  expect(/Cannot allocate 35184372088832 bytes for a test/.test(tooMuch.message), `2^45 bytes: ${tooMuch.message}`);

  // a shader that is none fails loudly, and at the next check
  const broken = defineKernel({
    name: "broken",
    source: "@compute @workgroup_size(1) fn main() { nonsense; }",
    bindings: { end: "write" },
    params: {},
    constants: [],
    threads: 1,
    grid: () => [1],
    cpu() {},
    tolerance: { absolute: 0, relative: 0, reason: "" },
    cases: () => [],
  });
  const said = await (async () => {
    const recording = gpu.record();
    broken.record(recording, { end: live }, {});
    recording.submit();
    await gpu.read(live, new Uint32Array(1));
    return "nothing";
  })().catch((error) => error.message as string);
  expect(/refused a command/.test(said) && gpu.failure !== null, `a broken shader: ${said}`);
  gpu.close();

  // a lost device says so, where it is used next
  const second = await openGpu((await webgpu.requestAdapter())!, { allowSoftware: true });
  const kept = await second.allocate(16, "a test");
  second.device.destroy();
  const lost = await second.lost;
  expect(/was lost/.test(lost.message), lost.message);
  const after = await second.read(kept, new Uint32Array(1)).catch((error) => error.message as string);
  expect(after === lost.message, `reading from a lost device: ${after}`);
  return failures;

  function advanceOnce(): void {
    const recording = gpu.record();
    advance.record(recording, { end: live }, { heads: 300, count: 1 });
    recording.submit();
  }
}
