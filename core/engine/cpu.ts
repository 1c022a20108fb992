/** ONNX Runtime's native CPU build: the quick path without a GPU. */
import type { InferenceSession } from "onnxruntime-common";
import { DeviceError } from "../errors.ts";
import type { GraphFeatures } from "./features.ts";
import { OrtEngine } from "./ort.ts";
import type { Packs } from "../pack/packs.ts";
import type { PreparedModel } from "./prepare.ts";
import type { ModelConfig } from "./weights.ts";

/** The part of ONNX Runtime's modules that the engines use. */
export type OnnxRuntime = typeof import("onnxruntime-common");

/** @param threads 0: as many as ONNX Runtime takes by itself (one per physical core). */
export async function openCpu(
  runtime: OnnxRuntime,
  prepared: PreparedModel,
  config: ModelConfig,
  features: GraphFeatures,
  threads: number,
  packs: Packs = {},
): Promise<OrtEngine> {
  let session: InferenceSession;
  try {
    session = await runtime.InferenceSession.create(prepared.graphPath, {
      executionProviders: ["cpu"],
      logSeverityLevel: 3,
      ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new DeviceError(`ONNX Runtime's CPU device cannot open ${prepared.graphPath}: ${reason}`, { cause: error });
  }
  const openDense = (graph: Uint8Array) =>
    runtime.InferenceSession.create(graph, {
      executionProviders: ["cpu"],
      logSeverityLevel: 3,
      // its threads would spin into the next pass and take the cores from it (10 ms a chunk after 90 small runs)
      extra: { "session.intra_op.allow_spinning": "0" },
      ...(threads > 0 ? { intraOpNumThreads: threads } : {}),
    });
  return new OrtEngine(
    config,
    { kind: "cpu", name: "ONNX Runtime CPU" },
    features,
    session,
    runtime.Tensor,
    openDense,
    packs,
  );
}
