/**
 * Kernels in the order in which they will run, in one command encoder: a chunk's whole policy is one recording, and nothing is read back on the way.
 * WebGPU makes what one kernel wrote visible to the next.
 */
import type { Gpu } from "./gpu.ts";
import type { AnyKernel } from "./kernel.ts";
import { BUFFER } from "./device/usage.ts";

/** Bytes between the parameters of successive launches: WebGPU's alignment of uniform offsets. */
const STEP = 256;
/** Launches whose parameters one buffer holds. */
const LAUNCHES = 256;

export class Recording {
  /** Kernels recorded so far. */
  dispatches = 0;
  private readonly commands: GPUCommandEncoder;
  private pass: GPUComputePassEncoder | null = null;
  private readonly params: { buffer: GPUBuffer; words: Uint32Array<ArrayBuffer>; used: number }[] = [];

  constructor(private readonly gpu: Gpu) {
    this.commands = gpu.device.createCommandEncoder();
  }

  /** The encoder, between kernels: for copies and the like. */
  get encoder(): GPUCommandEncoder {
    this.pass?.end();
    this.pass = null;
    return this.commands;
  }

  /** Adds a kernel. `AnyKernel.record` is how to call it. */
  dispatch(kernel: AnyKernel, buffers: Record<string, GPUBuffer>, values: Record<string, number>): void {
    const launch = this.gpu.launches.launch(kernel, values, this.gpu.kvType);
    const [x, y = 1, z = 1] = kernel.grid(values, launch.threads), grid = [x, y, z];
    const most = this.gpu.limits.maxComputeWorkgroupsPerDimension!;
    if (grid.some((count) => count > most)) {
      throw new RangeError(`Cannot start ${kernel.name} on ${grid.join(" × ")} workgroups as ${most} are the most`);
    }
    if (grid.some((count) => count === 0)) return;
    const { buffer, offset } = this.writeParams(kernel, values);
    const names = Object.keys(kernel.bindings);
    const group = this.gpu.launches.group(launch, buffer, STEP, names.map((name) => buffers[name]!));
    this.pass ??= this.commands.beginComputePass(this.gpu.times?.pass());
    this.pass.setPipeline(launch.pipeline);
    this.pass.setBindGroup(0, group, [offset]);
    this.pass.dispatchWorkgroups(x, y, z);
    this.dispatches++;
  }

  /** Runs what was recorded. The recording is over. */
  submit(): void {
    const commands = this.encoder.finish();
    // Written before the commands run, after those that were submitted earlier: the buffers can be used again at once.
    for (const { buffer, words, used } of this.params) {
      this.gpu.write(buffer, words.subarray(0, used * STEP / 4));
      this.gpu.release(buffer);
    }
    this.gpu.device.queue.submit([commands]);
    this.gpu.check();
  }

  private writeParams(kernel: AnyKernel, values: Record<string, number>): { buffer: GPUBuffer; offset: number } {
    let room = this.params.at(-1);
    if (!room || room.used === LAUNCHES) {
      const buffer = this.gpu.borrow(STEP * LAUNCHES, BUFFER.UNIFORM | BUFFER.COPY_DST);
      this.params.push(room = { buffer, words: new Uint32Array(STEP * LAUNCHES / 4), used: 0 });
    }
    const offset = room.used++ * STEP;
    const view = new DataView(room.words.buffer, offset, STEP);
    Object.entries(kernel.params).forEach(([name, type], i) => {
      const value = values[name]!;
      if (type === "f32") view.setFloat32(4 * i, value, true);
      else view.setInt32(4 * i, value, true);
    });
    return { buffer: room.buffer, offset };
  }
}
