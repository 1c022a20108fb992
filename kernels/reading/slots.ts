/**
 * What a GPU knows of every slot beside its key and value: where heads begin and end, which token a slot holds, what a policy remembers of it, and the
 * arrays that its kernels need for a while. Each is allocated at its first use and stays until the reading ends, so after the first compaction nothing is.
 */
import type { Gpu } from "../gpu.ts";

export class Slots {
  /** First live slot of every head, u32 [heads]. */
  readonly start: GPUBuffer;
  /** One past its last, u32 [heads]. */
  readonly end: GPUBuffer;
  /** Index of the token in the prompt, int32 [heads, stride]. */
  readonly source: GPUBuffer;
  /** RoPE index at which the key stands, int32 [heads, stride]. */
  readonly position: GPUBuffer;
  /** `rotationTable`, once the reading has made it. */
  turns: ((layer: number) => GPUBuffer) | null = null;
  /** Bytes of all arrays. */
  bytes = 0;
  private readonly arrays = new Map<string, GPUBuffer>();

  /**
   * @param heads layers times KV heads
   * @param stride slots of every head
   */
  constructor(readonly gpu: Gpu, readonly heads: number, readonly stride: number) {
    this.start = this.perHead("start");
    this.end = this.perHead("end");
    this.source = this.perSlot("source");
    this.position = this.perSlot("position");
  }

  /** 4 bytes a slot, [heads, stride]; zeros at first. */
  perSlot(name: string): GPUBuffer {
    return this.array(name, 4 * this.heads * this.stride);
  }

  /** `width` numbers a slot, [heads, stride, width]; zeros at first. */
  wide(name: string, width: number): GPUBuffer {
    return this.array(name, 4 * width * this.heads * this.stride);
  }

  /** 4 bytes a head, [heads]; zeros at first. */
  perHead(name: string): GPUBuffer {
    return this.array(name, 4 * this.heads);
  }

  /** Zeros at first. One name has one size. */
  array(name: string, bytes: number): GPUBuffer {
    let buffer = this.arrays.get(name);
    if (!buffer) {
      this.arrays.set(name, buffer = this.gpu.borrow(bytes));
      this.bytes += buffer.size;
      // a borrowed buffer may be one that was used before
      const encoder = this.gpu.device.createCommandEncoder();
      encoder.clearBuffer(buffer);
      this.gpu.device.queue.submit([encoder.finish()]);
    }
    if (buffer.size < bytes) throw new Error(`The array ${name} has ${buffer.size} bytes, and ${bytes} are asked for`);
    return buffer;
  }

  close(): void {
    for (const buffer of this.arrays.values()) this.gpu.release(buffer);
    this.arrays.clear();
  }
}
