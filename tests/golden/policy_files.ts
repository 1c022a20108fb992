/** The files of a `policies/<architecture>` folder, as its vectors share them. */
import type { ModelConfig } from "../../core/engine/weights.ts";

export interface PolicyFile {
  file: string;
  policy: string;
  ratio: number;
  params: Record<string, unknown>;
  n_kept_per_layer_head: number[][];
  score_key: string;
  decode_start: number;
}

export interface Manifest {
  model: string;
  prompt_ids: number[];
  decode_ids: number[];
  files: PolicyFile[];
  kv_layers: number[];
}

/** One policy folder. */
export interface Folder {
  path: string;
  model: string;
  manifest: Manifest;
}

export const sinksOf = ({ params }: PolicyFile) => (params["n_sink"] as number | undefined) ?? 0;

export function headsOf({ kvHeads }: ModelConfig, layer: number): number[] {
  return Array.from({ length: kvHeads }, (_, h) => layer * kvHeads + h);
}

export function joined(rows: Float32Array[]): Float32Array {
  const out = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  let at = 0;
  for (const row of rows) {
    out.set(row, at);
    at += row.length;
  }
  return out;
}
