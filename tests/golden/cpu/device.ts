/** Golden vectors on the CPU: the engine over arrays and the reference stages. */
import type { Engine } from "../../../core/engine/engine.ts";
import type { GoldenDevice, TestedModel } from "../device.ts";
import { attentionFlow } from "../fixtures/attention_flow.ts";
import { camMerge } from "../fixtures/cam_merge.ts";
import { centroidMemory } from "../fixtures/centroid_memory.ts";
import { defensiveKv } from "../fixtures/defensivekv.ts";
import { indexer } from "../fixtures/indexer.ts";
import { latentMemory } from "../fixtures/latent_memory.ts";
import { momentKv } from "../fixtures/moment_kv.ts";
import { cacheFor, forward } from "../forward.ts";
import { using } from "../open.ts";
import { CpuPrompt } from "./prompt.ts";

export const cpu: GoldenDevice = {
  name: "CPU",
  model: (path, options, use) => using(path, options, ({ engine }) => use(modelOf(engine))),
  prompt: (path, asked, use) =>
    using(
      path,
      { features: { ...asked.features, valueNorms: asked.valueNorms } },
      ({ engine }) => use(new CpuPrompt(engine, asked)),
    ),
  fixtures: {
    attention_flow: attentionFlow,
    cam_merge: camMerge,
    centroid_memory: centroidMemory,
    defensivekv: defensiveKv,
    indexer,
    latent_memory: latentMemory,
    moment_kv: momentKv,
  },
  close: () => Promise.resolve(),
};

function modelOf(engine: Engine): TestedModel {
  const { hidden, layers } = engine.config;
  return {
    config: engine.config,
    memory(slots) {
      const cache = cacheFor(engine, slots);
      return {
        async forward(ids, options) {
          let hiddenLast: Float32Array | null = null;
          const { logits } = await forward(engine, cache, ids, {
            ...options,
            take(result, _, rows) {
              if (!result.hidden) return;
              hiddenLast = new Float32Array((layers + 1) * hidden);
              for (const [i, layer] of result.hidden.entries()) {
                // the last layer is finished only where logits are wanted
                if (layer.length > 0) hiddenLast.set(layer.subarray((rows - 1) * hidden, rows * hidden), i * hidden);
              }
            },
          });
          return { logits, hiddenLast };
        },
        close() {},
      };
    },
  };
}
