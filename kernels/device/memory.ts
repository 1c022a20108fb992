/**
 * Counts what a device holds in buffers, those of ONNX Runtime included, which shares it: `createBuffer` of the device and `destroy` of what it gives
 * are wrapped. A buffer that is dropped without `destroy` counts until the garbage collector finds it.
 */
export class DeviceMemory {
  /** Bytes of all buffers that exist. */
  current = 0;
  /** The most that it ever was. */
  peak = 0;
  /** Buffers made so far. */
  created = 0;
  private readonly forgotten: FinalizationRegistry<number>;

  /** @param onDestroy called once for every buffer that is destroyed */
  constructor(device: GPUDevice, onDestroy: (buffer: GPUBuffer) => void) {
    this.forgotten = new FinalizationRegistry((bytes) => this.current -= bytes);
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const buffer = create(descriptor), bytes = descriptor.size;
      this.created++;
      this.current += bytes;
      this.peak = Math.max(this.peak, this.current);
      this.forgotten.register(buffer, bytes, buffer);
      const destroy = buffer.destroy.bind(buffer);
      let alive = true;
      buffer.destroy = () => {
        if (alive) {
          alive = false;
          this.current -= bytes;
          this.forgotten.unregister(buffer);
          onDestroy(buffer);
        }
        return destroy();
      };
      return buffer;
    };
  }

  /** Forgets earlier peaks: what is measured from here on. */
  restartPeak(): void {
    this.peak = this.current;
  }
}
