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
    return await import("onnxruntime-node");
  } catch (error) {
    const mapped = await writeError(cacheFolder(), error);
    if (mapped instanceof PalimpsestError) throw mapped;
    nativeFailure = new DeviceError(`Cannot open ONNX Runtime's native library: ${(error as Error).message}`, {
      cause: error,
    });
    throw nativeFailure;
  }
}
