/**
 * Whether ONNX Runtime's attention is right on a GPU. Its kernels choose their way by what the adapter says it can, and where it says something that they
 * did not expect they are wrong without a word: on SwiftShader, whose subgroups have 4 threads, all rows of a chunk but the first four (1.30).
 */
import type { InferenceSession } from "onnxruntime-common";
import { DeviceError } from "../errors.ts";
import type { KvType } from "../stored_rows.ts";
import type { OnnxRuntime } from "./cpu.ts";
import { Graph, serializeModel } from "./onnx.ts";

/** Rows of a chunk and slots before them: more than one tile of the kernels, and no multiple of anything. */
const ROWS = 70, PAST = 21, CAPACITY = 96;
/** Of sliding layers, in the test: kernels know it as a number, which need not be the model's. */
export const TESTED_WINDOW = 33;
/** Sums of products in any order; in half precision of rounded numbers, and rounded once more themselves. */
const TOLERANCE: Readonly<Record<KvType, number>> = { f32: 1e-4, f16: 1e-2 };

/** Attention over keys and values of one type is wrong; over those of another it may be right. */
export class AttentionError extends DeviceError {}

/**
 * Runs attention of one KV head over a chunk and over a single row, against plain loops.
 * @param headDim as the model's slots have it, so that the pipelines are those that it needs anyway
 * @param type of the cache, and of all that attention computes
 * @param window newest slots that a row sees, its own included: less than a chunk, so that rows of one see different ones
 * @throws {AttentionError} when a number is wrong
 */
export async function attentionSelfTest(
  runtime: OnnxRuntime,
  device: GPUDevice,
  headDim: number,
  group: number,
  type: KvType = "f32",
  window = Infinity,
): Promise<void> {
  const element = type === "f16" ? "float16" : "float32";
  const graph = new Graph("attention"), width = group * headDim;
  graph.input("query", element, [1, "S", width]);
  for (const name of ["key", "value"]) graph.input(name, element, [1, "S", headDim]);
  for (const name of ["past.k", "past.v"]) graph.input(name, element, [1, 1, "C", headDim]);
  for (const name of ["last", "total"]) graph.input(name, "int32", [1]);
  graph.node(
    "GroupQueryAttention",
    ["query", "key", "value", "past.k", "past.v", "last", "total"],
    ["out", "present.k", "present.v"],
    { num_heads: group, kv_num_heads: 1, do_rotary: 0, ...(window < Infinity ? { local_window_size: window } : {}) },
    "com.microsoft",
  );
  graph.output("out", element, [1, "S", width]);
  for (const name of ["present.k", "present.v"]) graph.output(name, element, [1, 1, "C", headDim]);

  const session = await runtime.InferenceSession.create(serializeModel(graph), {
    executionProviders: [{ name: "webgpu", device } as InferenceSession.WebGpuExecutionProviderOption],
    logSeverityLevel: 3,
    extra: { session: { disable_cpu_ep_fallback: "1" } },
  });
  try {
    for (const rows of [ROWS, 1]) {
      const total = PAST + rows, { Tensor } = runtime;
      const query = wave(rows * width, 0.37),
        keys = wave(CAPACITY * headDim, 0.61),
        values = wave(CAPACITY * headDim, 0.23);
      const tensor = (numbers: Float32Array, dims: number[]) =>
        type === "f16"
          ? new Tensor("float16", new Uint16Array(Float16Array.from(numbers).buffer), dims)
          : new Tensor("float32", numbers, dims);
      const fresh = (all: Float32Array) => tensor(all.slice(PAST * headDim, total * headDim), [1, rows, headDim]);
      const past = (all: Float32Array) => tensor(all.slice().fill(9, PAST * headDim), [1, 1, CAPACITY, headDim]);
      const { out } = await session.run({
        query: tensor(query, [1, rows, width]),
        key: fresh(keys),
        value: fresh(values),
        "past.k": past(keys),
        "past.v": past(values),
        last: new Tensor("int32", Int32Array.of(total - 1), [1]),
        total: new Tensor("int32", Int32Array.of(total), [1]),
      }, ["out"]);
      const got = numbersOf(await out!.getData()),
        asked = attention(query, keys, values, rows, group, headDim, window);
      const wrong = asked.findIndex((value, i) => !(Math.abs(got[i]! - value) <= TOLERANCE[type]));
      if (wrong >= 0) {
        throw new AttentionError(
          `ONNX Runtime's attention in ${type} is wrong on this GPU: row ${Math.floor(wrong / width)} of ${rows} gave ${
            got[wrong]
          }, ` +
            `and ${asked[wrong]} is right; a device without the feature "subgroups", or --device cpu, works`,
        );
      }
    }
  } finally {
    await session.release();
  }
}

/** @param data as ONNX Runtime gives it: half precision in words where its Float16Array is not this runtime's */
function numbersOf(data: unknown): ArrayLike<number> {
  return data instanceof Uint16Array
    ? new Float16Array(data.buffer as ArrayBuffer, data.byteOffset, data.length)
    : data as ArrayLike<number>;
}

/** Numbers that repeat nowhere. */
function wave(length: number, step: number): Float32Array<ArrayBuffer> {
  return Float32Array.from({ length }, (_, i) => Math.sin(step * i + 0.001 * i * i));
}

/** [rows, group, headDim]: row r sees the slots up to PAST + r, the newest `window` of them. */
function attention(
  query: Float32Array,
  keys: Float32Array,
  values: Float32Array,
  rows: number,
  group: number,
  headDim: number,
  window: number,
): Float32Array {
  const out = new Float32Array(rows * group * headDim), weights = new Float64Array(CAPACITY);
  for (let row = 0; row < rows * group; row++) {
    const seen = PAST + Math.floor(row / group) + 1, first = Math.max(0, seen - window);
    let most = -Infinity, sum = 0;
    for (let slot = first; slot < seen; slot++) {
      let dot = 0;
      for (let d = 0; d < headDim; d++) dot += query[row * headDim + d]! * keys[slot * headDim + d]!;
      weights[slot] = dot / Math.sqrt(headDim);
      most = Math.max(most, weights[slot]!);
    }
    for (let slot = first; slot < seen; slot++) sum += weights[slot] = Math.exp(weights[slot]! - most);
    for (let slot = first; slot < seen; slot++) {
      for (let d = 0; d < headDim; d++) out[row * headDim + d]! += weights[slot]! / sum * values[slot * headDim + d]!;
    }
  }
  return out;
}
