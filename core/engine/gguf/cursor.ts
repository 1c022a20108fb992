/**
 * Sequential reading of a file's beginning in growing windows, so that a header of unknown length is read and little
 * more.
 */
import { ModelError } from "../../errors.ts";
import type { RandomAccessFile } from "../../files.ts";

const FIRST_WINDOW_BYTES = 1 << 16;
const LAST_WINDOW_BYTES = 1 << 20;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/**
 * Little-endian reader. `has` and `need` make bytes available; the getters after them are synchronous and unchecked, so
 * that a vocabulary of 256k strings costs one promise per window and not one per string.
 */
export class Cursor {
  private bytes = new Uint8Array(0);
  private view = new DataView(this.bytes.buffer);
  private at = 0;
  private windowStart = 0;
  private windowBytes = FIRST_WINDOW_BYTES;

  constructor(private readonly file: RandomAccessFile, private readonly limitBytes: number) {}

  /** Offset in the file of the next byte. */
  get offset(): number {
    return this.windowStart + this.at;
  }

  /** Bytes between the next one and the end of the file. */
  get remaining(): number {
    return this.file.size - this.offset;
  }

  has(count: number): boolean {
    return this.at + count <= this.bytes.length;
  }

  /**
   * Makes `count` bytes available. @throws {ModelError} when the file ends before them or the header is larger than any
   * real one.
   */
  async need(count: number): Promise<void> {
    if (this.has(count)) return;
    const offset = this.offset;
    if (!(count <= this.file.size - offset)) {
      throw this.error(
        `the header ends at byte ${this.file.size}, where ${count} more bytes are expected at ${offset}; ` +
          "the file is truncated or damaged, so fetch it again",
      );
    }
    if (offset + count > this.limitBytes) {
      throw this.error(`its header is longer than ${this.limitBytes} bytes, which no real model needs; fetch it again`);
    }
    const length = Math.min(Math.max(count, this.windowBytes), this.file.size - offset);
    this.bytes = await this.file.read(offset, length) as Uint8Array<ArrayBuffer>;
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength);
    this.windowStart = offset;
    this.at = 0;
    this.windowBytes = Math.min(this.windowBytes * 2, LAST_WINDOW_BYTES);
  }

  error(problem: string): ModelError {
    return new ModelError(`Cannot read GGUF file ${this.file.path}: ${problem}`);
  }

  u8(): number {
    return this.bytes[this.at++];
  }

  i8(): number {
    return this.view.getInt8(this.at++);
  }

  u16(): number {
    return this.view.getUint16((this.at += 2) - 2, true);
  }

  i16(): number {
    return this.view.getInt16((this.at += 2) - 2, true);
  }

  u32(): number {
    return this.view.getUint32((this.at += 4) - 4, true);
  }

  i32(): number {
    return this.view.getInt32((this.at += 4) - 4, true);
  }

  f32(): number {
    return this.view.getFloat32((this.at += 4) - 4, true);
  }

  f64(): number {
    return this.view.getFloat64((this.at += 8) - 8, true);
  }

  /** The u64 that comes next, null when it is not available; nothing is consumed. */
  peekLength(): number | null {
    if (!this.has(8)) return null;
    const low = this.view.getUint32(this.at, true);
    return this.view.getUint32(this.at + 4, true) * 0x1_0000_0000 + low;
  }

  /** Exact below 2^53; callers compare counts and offsets with the file's size, so a larger one is refused there. */
  u64(): number {
    const low = this.u32();
    return this.u32() * 0x1_0000_0000 + low;
  }

  i64(): number {
    const low = this.u32();
    return this.i32() * 0x1_0000_0000 + low;
  }

  text(length: number): string {
    const start = this.at;
    this.at += length;
    return decoder.decode(this.bytes.subarray(start, this.at));
  }
}
