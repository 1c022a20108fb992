/** Golden vectors on a GPU: the WebGPU engine and the kernels. */
import { dequantise } from "../../../core/engine/dequantise.ts";
import type { Gpu } from "../../../kernels/gpu.ts";
import { ValueNorms } from "../../../kernels/reading/value_norms.ts";
import type { GoldenDevice } from "../device.ts";
import { attentionFlow } from "./fixtures/attention_flow.ts";
import { camMerge } from "./fixtures/cam_merge.ts";
import { centroidMemory } from "./fixtures/centroid_memory.ts";
import { defensiveKv } from "./fixtures/defensivekv.ts";
import { indexer } from "./fixtures/indexer.ts";
import { latentMemory } from "./fixtures/latent_memory.ts";
import { momentKv } from "./fixtures/moment_kv.ts";
import { modelOf, type OpenedOnGpu, openOnGpu } from "./model.ts";
import { GpuPrompt } from "./prompt.ts";

interface ForPrompts extends OpenedOnGpu {
  norms: ValueNorms;
}

export function onGpu(gpu: Gpu): GoldenDevice {
  /** Models of prompts, which stay open for the next: opening takes longer than reading. */
  const opened = new Map<string, Promise<ForPrompts>>();
  const forPrompts = async (path: string, ragged: boolean): Promise<ForPrompts> => {
    // all that any vector asks; `mass` is how a graph is told to give queries
    const features = { mass: ["mean"], queryMoments: true, logBias: ragged } as const;
    const on = await openOnGpu(gpu, path, { features });
    const norms = await ValueNorms.open(gpu, on.engine, async (layer) => {
      const { type, bytes } = await on.model.tensor(`layers.${layer}.self_attn.o_proj`);
      return Float32Array.from(dequantise(type, bytes));
    });
    return { ...on, norms };
  };
  return {
    name: gpu.adapter.name,
    async model(path, options, use) {
      const on = await openOnGpu(gpu, path, options);
      try {
        return await use(modelOf(gpu, on.engine));
      } finally {
        await on.close();
      }
    },
    async prompt(path, asked, use) {
      const key = `${path} ${asked.ragged}`, on = opened.get(key) ?? forPrompts(path, asked.ragged);
      opened.set(key, on);
      const { engine, norms } = await on;
      return await use(new GpuPrompt(gpu, engine, asked, norms));
    },
    fixtures: {
      attention_flow: attentionFlow(gpu),
      cam_merge: camMerge(gpu),
      centroid_memory: centroidMemory(gpu),
      defensivekv: defensiveKv(gpu),
      indexer: indexer(gpu),
      latent_memory: latentMemory(gpu),
      moment_kv: momentKv(gpu),
    },
    async close() {
      for (const on of opened.values()) {
        const { norms, close } = await on;
        norms.close();
        await close();
      }
      gpu.close();
    },
  };
}
