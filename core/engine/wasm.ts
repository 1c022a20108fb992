/** ONNX Runtime's WebAssembly build: the portable last resort, several times slower than the native one (`runtime.md` section 2). */
import type { InferenceSession } from "onnxruntime-common";
import { DeviceError } from "../errors.ts";
import type { FileSystem } from "../files.ts";
import type { OnnxRuntime } from "./cpu.ts";
import type { GraphFeatures } from "./features.ts";
import { OrtEngine } from "./ort.ts";
import type { Packs } from "../pack/packs.ts";
import type { PreparedModel } from "./prepare.ts";
import type { ModelConfig } from "./weights.ts";

/** Weights should be f32: quantised products are dequantised on every call there. */
export async function openWasm(
  runtime: OnnxRuntime,
  files: FileSystem,
  prepared: PreparedModel,
  config: ModelConfig,
  features: GraphFeatures,
  packs: Packs = {},
): Promise<OrtEngine> {
  let session: InferenceSession;
  try {
    session = await runtime.InferenceSession.create(await files.readFile(prepared.graphPath), {
      executionProviders: ["wasm"],
      logSeverityLevel: 3,
      externalData: [{ path: prepared.weightsName, data: await files.readFile(prepared.weightsPath) }],
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeviceError(`ONNX Runtime's WebAssembly device cannot open ${prepared.graphPath}: ${reason}`, {
      cause: error,
    });
  }
  const openDense = (graph: Uint8Array) =>
    runtime.InferenceSession.create(graph, { executionProviders: ["wasm"], logSeverityLevel: 3 });
  const device = { kind: "wasm", name: "ONNX Runtime WebAssembly" } as const;
  return new OrtEngine(config, device, features, session, runtime.Tensor, openDense, packs);
}
