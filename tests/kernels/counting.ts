/** Counts what a device is asked to do, ONNX Runtime's share included: kernels started and bytes mapped for reading. */
import { BUFFER } from "../../kernels/device/usage.ts";
import type { Gpu } from "../../kernels/gpu.ts";
import type { Recording } from "../../kernels/recording.ts";

export interface Counts {
  /** Of everybody, and of our recordings alone. */
  dispatches: number;
  ours: number;
  submits: number;
  bytesBack: number;
  oursBack: number;
}

/** Wraps the device's methods; ONNX Runtime must be opened afterwards. @returns counts since the last call */
export function counting(gpu: Gpu): () => Counts {
  const { device } = gpu, counts = { dispatches: 0, submits: 0, bytesBack: 0 };
  const createEncoder = device.createCommandEncoder.bind(device), createBuffer = device.createBuffer.bind(device);
  device.createCommandEncoder = (descriptor) => {
    const encoder = createEncoder(descriptor), begin = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (descriptor) => {
      const pass = begin(descriptor);
      for (const name of ["dispatchWorkgroups", "dispatchWorkgroupsIndirect"] as const) {
        const dispatch = (pass[name] as (...args: unknown[]) => void).bind(pass);
        (pass as unknown as Record<string, unknown>)[name] = (...args: unknown[]) => {
          counts.dispatches++;
          return dispatch(...args);
        };
      }
      return pass;
    };
    return encoder;
  };
  device.createBuffer = (descriptor) => {
    const buffer = createBuffer(descriptor);
    if (!(descriptor.usage & BUFFER.MAP_READ)) return buffer;
    const map = buffer.mapAsync.bind(buffer);
    buffer.mapAsync = (mode, offset = 0, size = descriptor.size - offset) => {
      counts.bytesBack += size;
      return map(mode, offset, size);
    };
    return buffer;
  };
  const { queue } = device, submit = queue.submit.bind(queue);
  queue.submit = (buffers) => {
    counts.submits++;
    return submit(buffers);
  };
  let ours = 0, read = gpu.bytesRead;
  const record = gpu.record.bind(gpu);
  gpu.record = () => {
    const recording: Recording = record(), submit = recording.submit.bind(recording);
    recording.submit = () => {
      submit();
      ours += recording.dispatches;
    };
    return recording;
  };
  return () => {
    const told = { ...counts, ours, oursBack: gpu.bytesRead - read };
    Object.assign(counts, { dispatches: 0, submits: 0, bytesBack: 0 });
    ours = 0;
    read = gpu.bytesRead;
    return told;
  };
}
