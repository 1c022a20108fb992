/**
 * ONNX Runtime's native build. The one door to it: the compiled binary replaces the place where the package opens its addon (`cli/compile.ts`), not
 * this file. Imported lazily, because the addon takes longer to open than `--help` may take.
 */
import { DeviceError, PalimpsestError } from "../../core/errors.ts";
import { cacheFolder } from "../folders.ts";
import { writeError } from "../host.ts";

/** ONNX Runtime as its JavaScript packages share it. */
export type OnnxRuntime = typeof import("onnxruntime-common");

/** Why the native library could not be opened, for a message that would otherwise name only what was tried next. */
export let nativeFailure: DeviceError | null = null;

/**
 * Opens onnxruntime-node.
 * @throws {DeviceError} where the platform has no build of it
 * @throws {PalimpsestError} where the compiled binary cannot unpack it: another device would not help
 */
export async function loadOnnxRuntimeNode(): Promise<OnnxRuntime> {
  try {
    return withHalvesAsBits(await import("onnxruntime-node"));
  } catch (error) {
    const mapped = await writeError(cacheFolder(), error);
    if (mapped instanceof PalimpsestError) throw mapped;
    nativeFailure = new DeviceError(`Cannot open ONNX Runtime's native library: ${(error as Error).message}`, {
      cause: error,
    });
    throw nativeFailure;
  }
}

/**
 * Makes tensors of float16 hold their bits as `Uint16Array`. Where there is a `Float16Array` they would become one, of which the addon sees no bytes (Bun
 * 1.4). ONNX Runtime looks for that class once, at the first tensor.
 */
function withHalvesAsBits<Runtime extends OnnxRuntime>(runtime: Runtime): Runtime {
  const own = Object.getOwnPropertyDescriptor(globalThis, "Float16Array");
  if (!own) return runtime;
  Reflect.deleteProperty(globalThis, "Float16Array");
  try {
    new runtime.Tensor("bool", Uint8Array.of(0), [1]);
  } finally {
    Object.defineProperty(globalThis, "Float16Array", own);
  }
  return runtime;
}
