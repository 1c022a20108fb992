/**
 * Turns a model file into what ONNX Runtime maps: one weights file and its index, kept in the cache folder under the model's hash, and one small graph
 * file per set of features beside it. The second start finds both.
 */
import type { FileSystem } from "../files.ts";
import type { WeightFormat } from "./execution_forms.ts";
import { type GraphFeatures, spell } from "./features.ts";
import { writeLlama } from "./graph_llama.ts";
import { writeLlamaWebgpu } from "./graph_webgpu.ts";
import type { WeightIndex } from "./linear.ts";
import { groupsOf } from "./weight_groups.ts";
import type { ModelFile } from "./weights.ts";
import { writeWeights } from "./write_weights.ts";

/** Change it whenever the weights' bytes or their index would differ: older files are then ignored. */
const WEIGHTS_VERSION = 9;
/** Change it whenever a graph would differ over the same weights: these are large, and stay. */
const GRAPH_VERSION = 12;
/** For what is remembered of models as they are executed. */
export const PREPARED_VERSION = `${WEIGHTS_VERSION}.${GRAPH_VERSION}`;

/** Which ONNX Runtime runs the graph: its WebGPU device takes another attention and no branches. */
export type GraphTarget = "cpu" | "webgpu";

const graphs: Record<GraphTarget, typeof writeLlama> = { cpu: writeLlama, webgpu: writeLlamaWebgpu };

export interface PreparedModel {
  /** Path of the graph file; its weights file lies in the same folder. */
  graphPath: string;
  /** Name by which the graph refers to its weights file. */
  weightsName: string;
  weightsPath: string;
}

/**
 * @param folder where files of this model may be kept (named by its hash)
 * @throws {ModelError} for a damaged file
 */
export async function prepare(
  files: FileSystem,
  folder: string,
  model: ModelFile,
  format: WeightFormat,
  features: GraphFeatures,
  target: GraphTarget = "cpu",
): Promise<PreparedModel> {
  const { config } = model;
  const stem = `${format}-v${WEIGHTS_VERSION}`;
  const weightsName = `${stem}.weights`, weightsPath = files.join(folder, weightsName);
  const indexPath = files.join(folder, `${stem}.json`);
  let index = await readIndex(files, indexPath);
  if (!index || !(await files.exists(weightsPath))) {
    const entries = await writeWeights(files, weightsPath, model, format, groupsOf(config));
    index = { version: WEIGHTS_VERSION, entries };
    const json = new TextEncoder().encode(JSON.stringify(index));
    await files.writeAtomically(indexPath, (put) => put(json));
  }
  const graphPath = files.join(
    folder,
    `${stem}.${GRAPH_VERSION}-${target === "cpu" ? "" : `${target}-`}${spell(features)}.onnx`,
  );
  if (!(await files.exists(graphPath))) {
    const graph = graphs[target](config, index, weightsName, features);
    await files.writeAtomically(graphPath, (put) => put(graph));
  }
  return { graphPath, weightsName, weightsPath };
}

async function readIndex(files: FileSystem, path: string): Promise<WeightIndex | null> {
  if (!(await files.exists(path))) return null;
  try {
    const index = JSON.parse(new TextDecoder().decode(await files.readFile(path))) as WeightIndex;
    return index.version === WEIGHTS_VERSION ? index : null;
  } catch {
    return null; // a damaged index is written anew
  }
}
