/**
 * `SlidingRows` on a GPU: key and value rows of the layers that see the newest tokens only. A pass writes its rows behind the last one; attention itself
 * looks no further back than the window, so older rows may stand before them until there is no room left: then the newest move to the front.
 */
import type { SlidingShape } from "./sliding_rows.ts";

/** `GPUBufferUsage` STORAGE, COPY_SRC and COPY_DST. */
const USAGE = 0x80 | 0x04 | 0x08;

export class GpuSlidingRows {
  /** Per layer [kvHeads, capacity, headDim] of the cache's type, keys rotated. */
  readonly keys: GPUBuffer[];
  readonly values: GPUBuffer[];
  /** Rows of every head, those before the window included. */
  end = 0;
  /** What a token's position is here beyond its position in the other layers. */
  shift = 0;
  readonly capacity: number;
  readonly bytes: number;
  /** Rows that move, for the while: a buffer cannot be copied into itself. */
  private readonly passing: GPUBuffer;
  /** Rows that `save` put aside, per layer keys and values. */
  private readonly aside: GPUBuffer[];
  private saved: { end: number; tokens: number; shift: number } | null = null;
  /** Tokens that were appended so far. */
  private tokens = 0;

  /**
   * @param mostRows of a pass
   * @param numberBytes of a number that is stored
   */
  constructor(
    private readonly device: GPUDevice,
    private readonly shape: SlidingShape,
    private readonly kvHeads: number,
    private readonly headDim: number,
    mostRows: number,
    private readonly numberBytes: number,
  ) {
    const { layers, window } = shape, row = kvHeads * headDim * numberBytes;
    this.capacity = window - 1 + mostRows;
    const buffers = (count: number, rows: number) =>
      Array.from(
        { length: count },
        () => device.createBuffer({ label: "cache.sliding", size: Math.max(16, rows * row), usage: USAGE }),
      );
    this.keys = buffers(layers, this.capacity);
    this.values = buffers(layers, this.capacity);
    this.aside = buffers(2 * layers, window - 1);
    this.passing = buffers(1, window - 1)[0]!;
    this.bytes = [...this.buffers()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Makes room for so many rows behind the last one. */
  reserve(rows: number): void {
    const { window } = this.shape;
    if (this.end + rows <= this.capacity) return;
    const kept = Math.min(this.end, window - 1);
    if (kept + rows > this.capacity) throw new Error(`${rows} rows are more than sliding layers were made for`);
    this.keep(kept);
  }

  /** Makes the first `count` rows live that the last pass wrote. */
  append(count: number): void {
    this.end += count;
    this.tokens += count;
  }

  /** The other layers' positions were moved: the next token's is `delta` lower there, and here as it was. */
  movedBy(delta: number): void {
    this.shift += delta;
  }

  /** Puts the rows aside, for `restore`: what is appended until then is forgotten. */
  save(): void {
    if (this.saved) return;
    const kept = Math.min(this.end, this.shape.window - 1), { tokens, shift } = this;
    this.copy((encoder, pool, which) => this.move(encoder, pool, this.end - kept, this.aside[which]!, 0, kept));
    this.saved = { end: kept, tokens, shift };
  }

  restore(): void {
    const { saved } = this;
    if (!saved) return;
    this.copy((encoder, pool, which) => this.move(encoder, this.aside[which]!, 0, pool, 0, saved.end));
    Object.assign(this, saved);
    this.saved = null;
  }

  /** Only rows of tokens from `firstToken` on are seen, until `restore`. */
  narrow(firstToken: number): void {
    this.save();
    this.keep(Math.max(0, Math.min(this.end, this.shape.window - 1, this.tokens - firstToken)));
  }

  /** The newest `count` rows of every head move to the front. */
  private keep(count: number): void {
    const from = this.end - count;
    this.copy((encoder, pool) => {
      this.move(encoder, pool, from, this.passing, 0, count);
      this.move(encoder, this.passing, 0, pool, 0, count);
    });
    this.end = count;
  }

  private copy(work: (encoder: GPUCommandEncoder, pool: GPUBuffer, which: number) => void): void {
    const encoder = this.device.createCommandEncoder();
    [...this.keys, ...this.values].forEach((pool, which) => work(encoder, pool, which));
    this.device.queue.submit([encoder.finish()]);
  }

  /** Rows of all heads from one buffer into another; each has the rows of its heads at its own distance. */
  private move(
    encoder: GPUCommandEncoder,
    source: GPUBuffer,
    from: number,
    target: GPUBuffer,
    to: number,
    count: number,
  ) {
    if (count === 0) return;
    const { headDim, kvHeads, capacity, shape: { window } } = this, row = headDim * this.numberBytes;
    const stride = (buffer: GPUBuffer) =>
      buffer === this.passing || this.aside.includes(buffer) ? window - 1 : capacity;
    for (let head = 0; head < kvHeads; head++) {
      encoder.copyBufferToBuffer(
        source,
        (head * stride(source) + from) * row,
        target,
        (head * stride(target) + to) * row,
        count * row,
      );
    }
  }

  private *buffers(): Generator<GPUBuffer> {
    yield* this.keys;
    yield* this.values;
    yield* this.aside;
    yield this.passing;
  }

  close(): void {
    for (const buffer of this.buffers()) buffer.destroy();
  }
}
