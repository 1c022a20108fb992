/** Which layers of a model are of which kind, and whose slots a cache holds. */
import type { CacheShape } from "../cache.ts";
import type { LayerKind, ModelConfig } from "./weights.ts";

export function kindOf({ layerKinds }: Pick<ModelConfig, "layerKinds">, layer: number): LayerKind {
  return layerKinds[layer % layerKinds.length]!;
}

type Layers = Pick<ModelConfig, "layers" | "layerKinds">;

const layersOf = (config: Layers, isSliding: boolean): number[] =>
  Array.from({ length: config.layers }, (_, layer) => layer)
    .filter((layer) => (kindOf(config, layer) === "sliding") === isSliding);

/** Layers that see everything that was read, as far as it stays: the layers of a cache and of its budget. Their places in this list number them there. */
export const cachedLayers = (config: Layers): number[] => layersOf(config, false);

/** Layers that see the newest tokens only, outside of the budget. */
export const slidingLayers = (config: Layers): number[] => layersOf(config, true);

/** What a cache for the model is made of. */
export function cacheShape(
  config: Layers & Pick<ModelConfig, "kvHeads" | "headDim" | "slidingWindow">,
): CacheShape {
  const { kvHeads, headDim, slidingWindow } = config, sliding = slidingLayers(config).length;
  return {
    layers: config.layers - sliding,
    kvHeads,
    headDim,
    ...(sliding > 0 ? { sliding: { layers: sliding, window: slidingWindow!.tokens } } : {}),
  };
}
