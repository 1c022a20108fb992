/** A CPU graph over quantised weights without the quantised activations: what a GPU computes from the same weights. */
import type { FileSystem } from "../../core/files.ts";
import type { PreparedModel } from "../../core/engine/prepare.ts";

const NAME = new TextEncoder().encode("accuracy_level");
/** An attribute's name is followed by its number's tag in the file; 4 is arithmetic in int8, 1 in float32. */
const TAG = 0x18, INT8 = 4, FLOAT32 = 1;

/** Writes the graph anew beside the prepared one. @throws where it has no quantised product */
export async function withFloatActivations(files: FileSystem, prepared: PreparedModel): Promise<PreparedModel> {
  const graph = (await files.readFile(prepared.graphPath)).slice();
  let changed = 0;
  for (let at = 0; at + NAME.length + 1 < graph.length; at++) {
    if (!NAME.every((byte, i) => graph[at + i] === byte)) continue;
    const number = at + NAME.length + 1;
    if (graph[number - 1] !== TAG || graph[number] !== INT8) throw new Error(`An unknown accuracy_level at byte ${at}`);
    graph[number] = FLOAT32;
    changed++;
  }
  if (changed === 0) throw new Error(`${prepared.graphPath} has no product of quantised weights`);
  const graphPath = prepared.graphPath.replace(/\.onnx$/, ".floats.onnx");
  await files.writeAtomically(graphPath, (put) => put(graph));
  return { ...prepared, graphPath };
}
