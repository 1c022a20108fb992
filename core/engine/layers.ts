/** Which layer of a model is of which kind. */
import type { LayerKind, ModelConfig } from "./weights.ts";

export function kindOf({ layerKinds }: Pick<ModelConfig, "layerKinds">, layer: number): LayerKind {
  return layerKinds[layer % layerKinds.length]!;
}
