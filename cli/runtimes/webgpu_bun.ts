/** Bun's WebGPU: the package bun-webgpu, which is Dawn behind Bun's FFI, and what it lacks for ONNX Runtime and for long documents. */
import { dlopen } from "bun:ffi";
import { closeSync, openSync } from "node:fs";
import process from "node:process";
import { DeviceError } from "../../core/errors.ts";
import type { WebGpu } from "./webgpu.ts";

/** @throws {DeviceError} where the package is missing or has no library for this system */
export async function load(): Promise<WebGpu> {
  let gpu: GPU;
  try {
    const { setupGlobals } = await import("bun-webgpu");
    const work = silently(() => setupGlobals()); // its first half, which opens the library, runs at once
    await work;
    gpu = navigator.gpu;
  } catch (error) {
    throw new DeviceError(
      `Cannot load bun-webgpu, Bun's WebGPU: ${(error as Error).message}. Deno (PALIMPSEST_RUNTIME=deno) or ` +
        "--device cpu works",
      { cause: error },
    );
  }
  return {
    name: "bun-webgpu",
    async requestAdapter(options) {
      const adapter = await silently(() => holdingMemory(() => gpu.requestAdapter(options)));
      if (adapter) completeDevices(adapter);
      return adapter;
    },
  };
}

/** Gives every device of the adapter what bun-webgpu leaves out. */
function completeDevices(adapter: GPUAdapter): void {
  const request = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await silently(() => holdingMemory(() => request(descriptor)));
    holdDescriptors(device);
    copyFromSharedMemory(device.queue);
    releaseForgotten(device);
    return device;
  };
}

/** What is made while `holdingMemory` runs. */
const held: unknown[] = [];
const { ArrayBuffer: PlainBuffer } = globalThis, { encode } = TextEncoder.prototype;
const HeldBuffer = new Proxy(PlainBuffer, {
  construct(target, args) {
    const made = Reflect.construct(target, args);
    held.push(made);
    return made;
  },
});
function heldBytes(this: TextEncoder, text?: string) {
  const made = encode.call(this, text);
  held.push(made);
  return made;
}

/**
 * Calls `work` and holds all memory that it makes until it returns. bun-webgpu writes the addresses of arrays that nothing refers to into what it hands Dawn:
 * where the garbage collector runs in between, Dawn reads what stands there by then ("Invalid feature required", "Unexpected chained struct", a crash).
 */
function holdingMemory<T>(work: () => T): T {
  globalThis.ArrayBuffer = HeldBuffer;
  TextEncoder.prototype.encode = heldBytes;
  try {
    return work();
  } finally {
    globalThis.ArrayBuffer = PlainBuffer;
    TextEncoder.prototype.encode = encode;
    held.length = 0;
  }
}

/** What of a device takes descriptors with arrays and names in them, which Dawn has read when the call returns. */
const DESCRIBED = [
  "createBindGroup",
  "createBindGroupLayout",
  "createBuffer",
  "createComputePipeline",
  "createComputePipelineAsync",
  "createPipelineLayout",
  "createShaderModule",
] as const;

/** The device's descriptors stay whole until Dawn has read them. */
function holdDescriptors(device: GPUDevice): void {
  const holding = (owner: object, name: string) => {
    const methods = owner as Record<string, (...args: unknown[]) => unknown>, call = methods[name]!.bind(owner);
    methods[name] = (...args) => holdingMemory(() => call(...args));
  };
  for (const name of DESCRIBED) holding(device, name);
  holding(device.queue, "submit");
}

/** `writeBuffer` refuses memory that threads share, and ONNX Runtime's heap is such: a copy goes instead. */
function copyFromSharedMemory(queue: GPUQueue): void {
  const write = queue.writeBuffer.bind(queue);
  queue.writeBuffer = (buffer, offset, data, dataOffset = 0, size?: number) => {
    const view = ArrayBuffer.isView(data) ? data : null;
    const memory = view ? view.buffer : data as ArrayBuffer | SharedArrayBuffer;
    if (!(memory instanceof SharedArrayBuffer)) {
      return size === undefined
        ? write(buffer, offset, data, dataOffset)
        : write(buffer, offset, data, dataOffset, size);
    }
    // offset and size are in elements where there is a view of such
    const unit = (view as { BYTES_PER_ELEMENT?: number } | null)?.BYTES_PER_ELEMENT ?? 1;
    const from = dataOffset * unit, length = size === undefined ? data.byteLength - from : size * unit;
    write(buffer, offset, new Uint8Array(memory, (view?.byteOffset ?? 0) + from, length).slice());
  };
}

/** What bun-webgpu's objects have beyond WebGPU's. */
type Native = { ptr?: number; lib?: Record<string, (ptr: number) => void> };

/**
 * bun-webgpu never releases what is dropped: bind groups, commands and passes would pile up over a document. Commands go when they were submitted, the
 * rest when the garbage collector finds them.
 */
function releaseForgotten(device: GPUDevice): void {
  const forgotten = new FinalizationRegistry<() => void>((release) => release());
  const watch = <T extends object>(made: T, release: string): T => {
    const { lib, ptr } = made as Native;
    const free = lib?.[release];
    if (free && ptr) forgotten.register(made, () => free(ptr));
    return made;
  };
  const createBindGroup = device.createBindGroup.bind(device);
  device.createBindGroup = (descriptor) => watch(createBindGroup(descriptor), "wgpuBindGroupRelease");
  const createCommandEncoder = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createCommandEncoder(descriptor);
    const begin = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (options) => watch(begin(options), "wgpuComputePassEncoderRelease");
    return encoder;
  };
  const submit = device.queue.submit.bind(device.queue);
  device.queue.submit = (commands) => {
    const all = [...commands];
    submit(all);
    for (const one of all) (one as unknown as { _destroy?: () => void })._destroy?.();
  };
}

/**
 * Calls `work` with stderr closed while it runs, not while it waits: Dawn writes warnings of its drivers there, one for every driver that it cannot use,
 * though the answer says all that matters.
 */
function silently<T>(work: () => T): T {
  const libc = openLibc();
  if (!libc) return work();
  const nowhere = openSync("/dev/null", "w"), stderr = libc.dup(2);
  libc.dup2(nowhere, 2);
  try {
    return work();
  } finally {
    libc.dup2(stderr, 2);
    libc.close(stderr);
    closeSync(nowhere);
  }
}

interface Libc {
  dup(file: number): number;
  dup2(from: number, to: number): number;
  close(file: number): number;
}

let opened: Libc | null | undefined;

function openLibc(): Libc | null {
  if (opened !== undefined) return opened;
  const name = { linux: "libc.so.6", darwin: "libSystem.B.dylib" }[process.platform as string];
  try {
    opened = name
      ? dlopen(name, {
        dup: { args: ["i32"], returns: "i32" },
        dup2: { args: ["i32", "i32"], returns: "i32" },
        close: { args: ["i32"], returns: "i32" },
      }).symbols
      : null;
  } catch {
    opened = null; // musl, Windows: then Dawn's lines stand
  }
  return opened;
}
