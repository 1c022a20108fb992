/**
 * How long compute passes of our kernels take, by the GPU's own clock: for measurements only. Nobody has one unless he asks (`Gpu.times`), and a recording
 * without one does nothing for it.
 */
import { DeviceError } from "../../core/errors.ts";
import { readBuffer } from "./read.ts";
import { BUFFER } from "./usage.ts";

/** Passes between two calls of `take`: WebGPU allows 4,096 queries in a set, two per pass. */
const PASSES = 2048;
const QUERY_RESOLVE = 0x200;
/** Milliseconds over which the GPU's clock is held against ours. */
const CALIBRATION = 300;
/** Clocks that differ by less count the same nanoseconds. */
const CLOSE = 0.1;

export class PassTimes {
  /** Nanoseconds of a tick: 1 as WebGPU has it, other numbers where a runtime hands through what the driver counts. */
  tick = 1;
  private readonly queries: GPUQuerySet;
  private readonly resolved: GPUBuffer;
  private used = 0;
  /** Passes that found no room since `take`. */
  private untimed = 0;

  private constructor(private readonly device: GPUDevice) {
    this.queries = device.createQuerySet({ type: "timestamp", count: 2 * PASSES });
    this.resolved = device.createBuffer({ size: 16 * PASSES, usage: QUERY_RESOLVE | BUFFER.COPY_SRC });
  }

  /** @returns null where the device has no clock that can be read, or one that stands still */
  static async open(device: GPUDevice): Promise<PassTimes | null> {
    if (!device.features.has("timestamp-query")) return null;
    const times = new PassTimes(device), first = await times.now();
    await new Promise((done) => setTimeout(done, CALIBRATION));
    const second = await times.now();
    const tick = 1e6 * (second.here - first.here) / Number(second.there - first.there);
    if (!(tick > 0 && tick < Infinity)) {
      times.close();
      return null;
    }
    times.tick = Math.abs(tick - 1) < CLOSE ? 1 : tick;
    return times;
  }

  /** What `beginComputePass` is given. */
  pass(): GPUComputePassDescriptor | undefined {
    if (this.used === PASSES) {
      this.untimed++;
      return undefined;
    }
    const at = 2 * this.used++;
    const timestampWrites = { querySet: this.queries, beginningOfPassWriteIndex: at, endOfPassWriteIndex: at + 1 };
    return { timestampWrites };
  }

  /**
   * Waits for what was submitted.
   * @returns milliseconds of all passes since the last call
   * @throws {DeviceError} where these were more than there is room for
   */
  async take(): Promise<number> {
    const { used, untimed } = this;
    this.used = this.untimed = 0;
    if (untimed > 0) throw new DeviceError(`${untimed} compute passes were not timed, as ${PASSES} are the most`);
    const stamps = await this.stamps(2 * used);
    let ticks = 0;
    for (let i = 0; i < stamps.length; i += 2) ticks += Math.max(0, Number(stamps[i + 1]! - stamps[i]!));
    return ticks * this.tick / 1e6;
  }

  close(): void {
    this.queries.destroy();
    this.resolved.destroy();
  }

  private async stamps(count: number): Promise<BigUint64Array> {
    if (count === 0) return new BigUint64Array(0);
    const encoder = this.device.createCommandEncoder();
    encoder.resolveQuerySet(this.queries, 0, count, this.resolved, 0);
    this.device.queue.submit([encoder.finish()]);
    return new BigUint64Array(await readBuffer(this.device, this.resolved, 8 * count));
  }

  /** Both clocks, the CPU's in milliseconds. */
  private async now(): Promise<{ here: number; there: bigint }> {
    const encoder = this.device.createCommandEncoder();
    encoder.beginComputePass(this.pass()).end();
    const here = performance.now();
    this.device.queue.submit([encoder.finish()]);
    const [there] = await this.stamps(2);
    this.used = 0;
    return { here, there: there! };
  }
}
