/** All that a reading takes on a GPU, before it runs. */
import type { Sizes } from "../../core/budget.ts";
import { FEW_ROWS } from "../../core/engine/attention.ts";
import { activationBytes, type PassShape, weightBytes } from "../../core/engine/webgpu_memory.ts";
import { cachedLayers } from "../../core/engine/layers.ts";
import { gpuWidenedBytes } from "../../core/gpu_cache.ts";
import type { ModelFile } from "../../core/engine/weights.ts";
import type { StoredType } from "../../core/stored_rows.ts";
import { needs, type Policy } from "../../core/policy.ts";
import { dryRun } from "./dry_run.ts";
import { gpuFeatures, repeats, REQUEST_ROWS } from "./plan.ts";

/** Bytes. */
export interface DeviceMemory {
  /** Weights, and the output matrices a second time for policies that weigh with value norms. */
  weights: number;
  /** Cache, labels, what the policy remembers, and the arrays between its kernels. */
  kv: number;
  /** Parameters of kernels and what is read back. */
  parameters: number;
  /** What ONNX Runtime keeps for activations. */
  activations: number;
  /** Those of them that are rows of an int8 cache in float32, for the while of a layer. */
  widened: number;
  /** The most that stands on the device at once. */
  peak: number;
}

export interface Read {
  /** Tokens of prompt and documents. */
  tokens: number;
  question: number;
  /** Tokens after the document, passages that are read again among them. */
  tail: number;
}

/** @param takesNotes notes will be written along the way @param kvType what the cache stores */
export async function deviceMemory(
  model: Pick<ModelFile, "config" | "tensors">,
  policy: Policy,
  sizes: Sizes,
  read: Read,
  takesNotes = false,
  kvType: StoredType = "f32",
): Promise<DeviceMemory> {
  const { config } = model, features = { ...gpuFeatures(policy, takesNotes), kvType };
  const { bytes: kv, besides: parameters, capacity } = await dryRun(
    policy,
    config,
    sizes,
    features.logBias,
    {},
    kvType,
  );
  const matrices = needs(policy, "valueNorms")
    ? 4 * cachedLayers(config).length * config.hidden * config.heads * config.headDim
    : 0;
  const weights = weightBytes(model) + matrices;
  const activations = activationBytes(config, features, passesOf(policy, sizes, read, features.logBias), capacity);
  const widened = gpuWidenedBytes(config, capacity, features.logBias, kvType);
  return { weights, kv, parameters, activations, widened, peak: weights + kv + parameters + activations };
}

/** The passes that differ: full chunks and the last one, a probe's, the tail's, a written token's. */
function passesOf(policy: Policy, sizes: Sizes, { tokens, question, tail }: Read, wide: boolean): PassShape[] {
  const { chunkTokens, slots } = sizes, compacts = policy.evicts && tokens > slots;
  const chunk = (rows: number) => ({ rows, queryRows: compacts ? Math.min(policy.probe.windowRows, rows) : 0 });
  const passes: PassShape[] = [chunk(Math.min(tokens, chunkTokens))];
  if (tokens % chunkTokens > 0) passes.push(chunk(tokens % chunkTokens));
  if (compacts && needs(policy, "question")) passes.push({ rows: question, queryRows: question });
  if (compacts && repeats(policy)) {
    passes.push({ rows: chunkTokens + REQUEST_ROWS, queryRows: chunkTokens + REQUEST_ROWS });
  }
  const most = wide ? Math.min(FEW_ROWS, chunkTokens) : chunkTokens;
  passes.push({ rows: Math.min(tail, most), logitsRows: 1 });
  passes.push({ rows: 1, logitsRows: 1, queryRows: policy.decode.observes ? 1 : 0 });
  return passes;
}
