/** ONNX Runtime's build with WebGPU. Its plain entry has none. */
import { DeviceError } from "../../core/errors.ts";
import type { OnnxRuntime } from "./native.ts";

/** Loads onnxruntime-web with its WebGPU device. @throws {DeviceError} when it cannot be loaded */
export async function loadOnnxRuntimeWebGpu(): Promise<OnnxRuntime> {
  try {
    const runtime = await import("onnxruntime-web/webgpu");
    runtime.env.wasm.numThreads = 1; // the GPU does the work, and threads cannot be started from everywhere (`runtime.md` section 4)
    return runtime;
  } catch (error) {
    throw new DeviceError(`Cannot load ONNX Runtime's WebGPU build: ${(error as Error).message}. --device cpu works`, {
      cause: error,
    });
  }
}
