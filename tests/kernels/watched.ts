/** Counts bytes on a device from outside of everything that is tested: wraps `createBuffer` of the adapter's device and `destroy` of what it gives. */
export interface Watched {
  current: number;
  peak: number;
}

export function watched(adapter: GPUAdapter): Watched {
  const memory: Watched = { current: 0, peak: 0 }, request = adapter.requestDevice.bind(adapter);
  adapter.requestDevice = async (descriptor) => {
    const device = await request(descriptor), create = device.createBuffer.bind(device);
    device.createBuffer = (asked) => {
      const buffer = create(asked), destroy = buffer.destroy.bind(buffer);
      let left = asked.size;
      memory.current += left;
      memory.peak = Math.max(memory.peak, memory.current);
      buffer.destroy = () => {
        memory.current -= left;
        left = 0;
        return destroy();
      };
      return buffer;
    };
    return device;
  };
  return memory;
}
