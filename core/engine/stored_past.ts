/**
 * The cache's rows as graph inputs, in what it stores (`../stored_rows.ts`), and widened to float32 where attention reads them. That is inside the branch
 * that runs, so that one layer's rows are wide at a time: the cache in float32 would be what storing less is to save.
 */
import type { StoredRun, StoredType } from "../stored_rows.ts";
import type { ElementType, Graph } from "./onnx.ts";

const ELEMENT: Readonly<Record<StoredType, ElementType>> = { f32: "float32", f16: "float16", int8: "int8" };

/** Name of the input with the rows' scales. */
const scalesOf = (name: string) => `${name}.scales`;

/** Declares the input of some rows. @param slots name of their number */
export function pastInput(graph: Graph, name: string, type: StoredType, slots: string, headDim: number): void {
  graph.input(name, ELEMENT[type], [1, 1, slots, headDim]);
  if (type === "int8") graph.input(scalesOf(name), "float32", [slots]);
}

/** The rows in float32. @param prefix of the branch's names */
export function widened(graph: Graph, name: string, type: StoredType, prefix: string): string {
  const wide = `${prefix}${name}`;
  if (type === "f32") return name;
  if (type === "f16") return graph.node("Cast", [name], [wide], { to: 1 });
  return graph.node("DequantizeLinear", [name, scalesOf(name)], [wide], { axis: 2 });
}

/** A tensor's type, numbers and dimensions, by the name of its input. */
export type PastFeeds = [name: string, type: ElementType, data: StoredRun["data"], dims: number[]][];

/** What the inputs of some rows take. */
export function pastFeeds(name: string, type: StoredType, { data, scales }: StoredRun, headDim: number): PastFeeds {
  const rows = data.length / headDim;
  return [
    [name, ELEMENT[type], data, [1, 1, rows, headDim]],
    ...scales ? [[scalesOf(name), "float32", scales, [rows]] as PastFeeds[number]] : [],
  ];
}
