/** ONNX Runtime's WebAssembly build: the portable last resort. */
import { DeviceError } from "../../core/errors.ts";
import type { OnnxRuntime } from "./native.ts";

/**
 * Loads onnxruntime-web. The package's plain entry: its `/wasm` entry cannot start threads under Bun or Deno (`runtime.md` section 4).
 * @throws {DeviceError} when it cannot be loaded.
 */
export async function loadOnnxRuntimeWeb(threads?: number): Promise<OnnxRuntime> {
  try {
    const runtime = await import("onnxruntime-web");
    if (threads !== undefined) runtime.env.wasm.numThreads = threads;
    return runtime;
  } catch (error) {
    throw new DeviceError(`Cannot load ONNX Runtime's WebAssembly build: ${(error as Error).message}`, {
      cause: error,
    });
  }
}
