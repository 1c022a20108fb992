/** An adapter that runs nothing and answers what a test says. */
import { LEAST_LIMITS } from "../../kernels/device/device.ts";

interface Fake {
  info?: object;
  limits?: Record<string, unknown>;
  features?: string[];
  /** What element `i` of a buffer reads as. Default 0. */
  answers?: (i: number) => number;
  /** Why it gives no device. */
  refuses?: string;
  onDestroy?: () => void;
}

export function fakeAdapter({ info, limits, features = [], answers = () => 0, refuses, onDestroy }: Fake): GPUAdapter {
  return {
    info: { vendor: "", architecture: "", device: "fake", description: "", ...info },
    limits: { ...LEAST_LIMITS, ...limits },
    features: new Set(features),
    requestDevice: () =>
      refuses ? Promise.reject(new Error(refuses)) : Promise.resolve(fakeDevice(features, answers, onDestroy)),
  } as unknown as GPUAdapter;
}

/** Does as it is told, without an error, and reads back what `answers` says. */
function fakeDevice(features: string[], answers: (i: number) => number, onDestroy = () => {}): GPUDevice {
  const nothing = () => {};
  return {
    features: new Set(features),
    lost: new Promise(nothing),
    queue: { submit: nothing, writeBuffer: nothing },
    createBuffer: ({ size }: { size: number }) => ({
      size,
      destroy: nothing,
      mapAsync: async () => {},
      getMappedRange: () => Float32Array.from({ length: size / 4 }, (_, i) => answers(i)).buffer,
    }),
    createShaderModule: () => ({}),
    createComputePipeline: () => ({ getBindGroupLayout: nothing }),
    createBindGroup: nothing,
    createCommandEncoder: () => ({
      beginComputePass: () => ({
        setPipeline: nothing,
        setBindGroup: nothing,
        dispatchWorkgroups: nothing,
        end: nothing,
      }),
      copyBufferToBuffer: nothing,
      finish: nothing,
    }),
    pushErrorScope: nothing,
    popErrorScope: async () => null,
    destroy: onDestroy,
  } as unknown as GPUDevice;
}
