/** ‖v W_O‖₁ of new rows, for policies that weigh with it: the model's output matrices stand on the GPU a second time, as ONNX Runtime's are out of reach. */
import { cachedLayers } from "../../core/engine/layers.ts";
import type { WebgpuEngine } from "../../core/engine/webgpu.ts";
import { valueNorms, valueNormStripes } from "../forward/value_norms.ts";
import { valueNormsSum } from "../forward/value_norms_sum.ts";
import type { Gpu } from "../gpu.ts";
import type { Compaction } from "./compaction.ts";
import { valuesOf } from "./rows.ts";

export class ValueNorms {
  private constructor(
    /** Of the cached layers. */ private readonly matrices: GPUBuffer[],
    private readonly hidden: number,
  ) {}

  /** @param matrix of a layer, float32 [hidden, heads * headDim] */
  static async open(
    gpu: Gpu,
    { config }: WebgpuEngine,
    matrix: (layer: number) => Promise<Float32Array<ArrayBuffer>>,
  ): Promise<ValueNorms> {
    const matrices: GPUBuffer[] = [];
    for (const layer of cachedLayers(config)) {
      const data = await matrix(layer), buffer = await gpu.allocate(data.byteLength, `output matrix ${layer}`);
      gpu.write(buffer, data);
      matrices.push(buffer);
    }
    return new ValueNorms(matrices, config.hidden);
  }

  /** Norms of the chunk's slots, into the attribute. */
  record({ memory, shape, recording, moment: { rows, options } }: Compaction): void {
    const { slots } = memory,
      { start, end } = slots,
      { heads, layers, kvHeads, group, headDim, width, stride } = shape,
      { hidden } = this;
    const stripes = valueNormStripes(hidden);
    const parts = slots.array("value_norms", 4 * heads * stripes * options.chunkTokens);
    for (let layer = 0; layer < layers; layer++) {
      valueNorms.record(recording, {
        values: valuesOf(recording, memory, layer),
        matrix: this.matrices[layer]!,
        start,
        end,
        parts,
      }, {
        heads: kvHeads,
        firstHead: layer * kvHeads,
        stride,
        rows,
        hidden,
        WIDTH: width,
        HEAD_DIM: headDim,
        GROUP: group,
      });
    }
    valueNormsSum.record(recording, { parts, start, end, valueNorm: slots.perSlot("attribute.valueNorm") }, {
      heads,
      stride,
      rows,
      stripes,
      group,
    });
  }

  close(): void {
    for (const matrix of this.matrices) matrix.destroy();
  }
}
