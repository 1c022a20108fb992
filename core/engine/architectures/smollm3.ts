/** SmolLM 3: every fourth layer has no rotary positions. */
import type { LayerKind } from "../weights.ts";
import type { Architecture } from "./architecture.ts";

/** llama.cpp knows this pattern by the model's name: files do not state it. */
const everyFourth: LayerKind[] = ["full", "full", "full", "unrotated"];

export const smollm3: Architecture = {
  name: "smollm3",
  gguf: { isInterleaved: true, config: (plain) => ({ ...plain, layerKinds: everyFourth }) },
  huggingFace: {
    modelType: "smollm3",
    config(plain, keys) {
      keys.only("use_sliding_window", false);
      return { ...plain, layerKinds: kindsOf(keys.value("no_rope_layers"), keys.value("no_rope_layer_interval")) };

      /** A list that says which layers have positions, against its name; else every so many has none. */
      function kindsOf(list: unknown, interval: unknown): LayerKind[] {
        if (Array.isArray(list) && list.length === plain.layers && list.every((has) => has === 0 || has === 1)) {
          return list.map((has) => has === 1 ? "full" : "unrotated");
        }
        if (list !== undefined && list !== null) {
          throw keys.refuse("no_rope_layers", list, `a list of ${plain.layers} numbers, 1 or 0, works`);
        }
        if (interval === undefined || interval === 4) return everyFourth;
        throw keys.refuse("no_rope_layer_interval", interval, "4 works");
      }
    },
  },
};
