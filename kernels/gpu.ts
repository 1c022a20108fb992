/** An open GPU: the device that ONNX Runtime and the kernels share, and everything on it that is made once and used often. */
import { DeviceError } from "../core/errors.ts";
import type { KvType } from "../core/stored_rows.ts";
import type { AdapterFacts, WantedFeature } from "./device/adapter.ts";
import { Launches } from "./device/launches.ts";
import { DeviceMemory } from "./device/memory.ts";
import type { PassTimes } from "./device/pass_times.ts";
import { readBuffer } from "./device/read.ts";
import { Recording } from "./recording.ts";
import { STORAGE } from "./device/usage.ts";

/** Numbers that live in buffers. Float16Array where a buffer holds half precision. */
export type Numbers =
  | Float32Array<ArrayBuffer>
  | Float16Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>;

export class Gpu {
  /** Most threads of a workgroup, and the like: what the device was opened with. */
  readonly limits: Readonly<Record<string, number>>;
  readonly features: ReadonlySet<WantedFeature>;
  readonly memory: DeviceMemory;
  /** Pipelines and bind groups. */
  readonly launches: Launches;
  /** Resolves, with what happened, when the device is gone or refused something; never when it was closed. */
  readonly lost: Promise<DeviceError>;
  /** What `lost` resolved with. */
  failure: DeviceError | null = null;
  /** What caches here store: kernels that look at their rows are compiled for it. Whoever opens a model says so, before anything is recorded. */
  kvType: KvType = "f32";
  /** Bytes read back so far: all there are, as what ONNX Runtime gives stays on the device too. */
  bytesRead = 0;
  /** Who measures sets it: all compute passes of recordings are then timed. */
  times: PassTimes | null = null;
  private fail!: (error: DeviceError) => void;
  private closed = false;
  /** Borrowed buffers that were given back, by size and usage. */
  private readonly free = new Map<string, GPUBuffer[]>();

  constructor(readonly device: GPUDevice, readonly adapter: AdapterFacts) {
    this.limits = adapter.limits;
    this.features = new Set(adapter.features);
    this.launches = new Launches(device, this.limits);
    this.memory = new DeviceMemory(device, (buffer) => this.launches.forget(buffer));
    this.lost = new Promise((resolve) => {
      this.fail = (error) => {
        if (this.closed || this.failure) return;
        this.failure = error;
        resolve(error);
      };
    });
    device.lost.then(({ message, reason }) =>
      this.fail(new DeviceError(`The GPU "${adapter.name}" was lost: ${message || reason || "no reason given"}`))
    );
    // Without a listener, runtimes write such errors to stderr.
    device.onuncapturederror = (event) => {
      event.preventDefault?.();
      const { message } = event.error;
      this.fail(
        isOutOfMemory(event.error)
          ? this.full(message)
          : new DeviceError(`The GPU "${adapter.name}" refused a command: ${message}`),
      );
    };
  }

  /** @throws {DeviceError} when the device was lost or refused something since it was opened */
  check(): void {
    if (this.failure) throw this.failure;
  }

  /** Starts to record kernels; nothing runs before its `submit`. */
  record(): Recording {
    this.check();
    return new Recording(this);
  }

  /**
   * A buffer that lives long, all zeros: a layer's keys, a slot attribute of all heads.
   * @throws {DeviceError} when the device cannot have it
   */
  async allocate(bytes: number, label: string): Promise<GPUBuffer> {
    const size = roundUp(bytes);
    for (const limit of ["maxBufferSize", "maxStorageBufferBindingSize"]) {
      if (size > this.limits[limit]!) {
        throw new DeviceError(
          `Cannot allocate ${size} bytes for ${label} on GPU "${this.adapter.name}": its ${limit} is ` +
            `${this.limits[limit]}. A smaller --kv-budget, or --device cpu, works`,
        );
      }
    }
    const create = () => this.device.createBuffer({ size, usage: STORAGE, label });
    return await this.allocating(`${size} bytes for ${label}`, create, (buffer) => buffer.destroy());
  }

  /**
   * Does what allocates, ONNX Runtime's sessions included, and says whether the memory was there: a buffer that is not is like any other to who asked for it.
   * @param what for the message: "8192 bytes for the cache"
   * @param undo gives back what was made of it
   * @throws {DeviceError} when the memory is not there
   */
  async allocating<T>(what: string, work: () => T | Promise<T>, undo: (made: T) => void | Promise<void>): Promise<T> {
    this.device.pushErrorScope("out-of-memory");
    let made: T | undefined, failed: unknown = null;
    try {
      made = await work();
    } catch (error) {
      failed = error ?? new Error(`Cannot allocate ${what}`);
    }
    const error = await this.device.popErrorScope().catch(() => null); // a lost device says so elsewhere
    if (!error && failed === null) return made!;
    if (failed === null) await undo(made!);
    throw error ? this.full(error.message, what) : failed;
  }

  private full(reason: string, what = "memory"): DeviceError {
    return new DeviceError(
      `The GPU "${this.adapter.name}" has no ${what} left: ${
        reason || "out of memory"
      }. A smaller --kv-budget or --chunk, or --device cpu, works`,
    );
  }

  /** A buffer for a while, its contents undefined: one that was given back, or a new one. Give it back with `release`. */
  borrow(bytes: number, usage: number = STORAGE): GPUBuffer {
    const size = roundUp(bytes);
    return this.free.get(`${size} ${usage}`)?.pop() ?? this.device.createBuffer({ size, usage });
  }

  /** Gives a borrowed buffer back. Right after the submit that uses it will do: commands run in order. */
  release(buffer: GPUBuffer): void {
    const key = `${buffer.size} ${buffer.usage}`, same = this.free.get(key);
    if (same) same.push(buffer);
    else this.free.set(key, [buffer]);
  }

  /** Writes numbers into a buffer, after everything that was submitted before. @param at byte offset */
  write(buffer: GPUBuffer, data: Numbers, at = 0): void {
    if (data.byteLength === 0) return;
    let bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (bytes.length % 4) {
      bytes = new Uint8Array(roundUp(bytes.length, 4));
      bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    }
    this.device.queue.writeBuffer(buffer, at, bytes);
  }

  /**
   * Reads `into.length` numbers back. Waits for everything that was submitted.
   * @throws {DeviceError} when the device is lost meanwhile
   */
  async read<T extends Numbers>(buffer: GPUBuffer, into: T, at = 0): Promise<T> {
    this.check();
    if (into.length === 0) return into;
    const bytes = roundUp(into.byteLength, 4);
    const found = readBuffer(this.device, buffer, bytes, at);
    found.catch(() => {});
    const first = await Promise.race([found, this.lost]).catch(async (error) => {
      // The device's own reason, where there is one, says more than that a mapping failed.
      await Promise.resolve();
      throw this.failure ?? new DeviceError(`Cannot read from GPU "${this.adapter.name}": ${(error as Error).message}`);
    });
    if (first instanceof DeviceError) throw first;
    this.bytesRead += bytes;
    new Uint8Array(into.buffer, into.byteOffset, into.byteLength).set(new Uint8Array(first, 0, into.byteLength));
    this.check();
    return into;
  }

  /** Frees the borrowed buffers that were given back. */
  trim(): void {
    for (const buffers of this.free.values()) for (const buffer of buffers) buffer.destroy();
    this.free.clear();
  }

  /** Waits until the device does nothing any more: drivers crash in a process that ends while they work. */
  async settled(): Promise<void> {
    try {
      await Promise.race([this.device.queue.onSubmittedWorkDone(), this.device.lost]);
    } catch {
      // a lost device does nothing; bun-webgpu throws at its queue
    }
  }

  /** Closes the device; everything on it goes with it. */
  close(): void {
    if (this.closed) return;
    this.closed = true;
    this.trim();
    this.device.destroy();
  }
}

/** Bun's WebGPU has the class by another way than the global one. */
function isOutOfMemory(error: GPUError): boolean {
  return error.constructor.name === "GPUOutOfMemoryError" || /out of memory|OutOfMemory/i.test(error.message);
}

/** WebGPU copies in words and binds nothing of 0 bytes. */
export function roundUp(bytes: number, unit = 16): number {
  return Math.max(unit, Math.ceil(bytes / unit) * unit);
}
