/**
 * Types whose values are a scale times a small integer: one decoder gives both, so that dequantising multiplies them and the form for execution
 * (`blocks.ts`) takes them as they are. Every product fits 24 bits, so one rounding on store is exact.
 */
import { iq1_m, iq1_s, iq2_s, iq2_xs, iq2_xxs, iq3_s, iq3_xxs } from "./iq.ts";
import { q3_k } from "./k_quants.ts";
import { iq4_nl, iq4_xs, mxfp4, nvfp4 } from "./tables.ts";
import { tq1_0, tq2_0 } from "./ternary.ts";

/**
 * Takes `blocks` whole blocks apart.
 * @param integers [blocks * values in a block]
 * @param scales [integers.length / scaleElements]
 */
export type TakeApart = (bytes: Uint8Array, blocks: number, integers: Int8Array, scales: Float32Array) => void;

export interface ScaledType {
  /** Values that share a scale. */
  scaleElements: 16 | 32 | 256;
  /** That hold every integer, as signed numbers. */
  bits: 4 | 8;
  takeApart: TakeApart;
}

export const SCALED = {
  Q3_K: { scaleElements: 16, bits: 4, takeApart: q3_k },
  IQ1_S: { scaleElements: 32, bits: 8, takeApart: iq1_s },
  IQ1_M: { scaleElements: 16, bits: 8, takeApart: iq1_m },
  IQ2_XXS: { scaleElements: 32, bits: 8, takeApart: iq2_xxs },
  IQ2_XS: { scaleElements: 16, bits: 8, takeApart: iq2_xs },
  IQ2_S: { scaleElements: 16, bits: 8, takeApart: iq2_s },
  IQ3_XXS: { scaleElements: 32, bits: 8, takeApart: iq3_xxs },
  IQ3_S: { scaleElements: 32, bits: 8, takeApart: iq3_s },
  IQ4_NL: { scaleElements: 32, bits: 8, takeApart: iq4_nl },
  IQ4_XS: { scaleElements: 32, bits: 8, takeApart: iq4_xs },
  TQ1_0: { scaleElements: 256, bits: 4, takeApart: tq1_0 },
  TQ2_0: { scaleElements: 256, bits: 4, takeApart: tq2_0 },
  MXFP4: { scaleElements: 32, bits: 8, takeApart: mxfp4 },
  NVFP4: { scaleElements: 16, bits: 8, takeApart: nvfp4 },
} as const satisfies Record<string, ScaledType>;

/** A decoder to f32 of such a type. */
export function multiplied({ scaleElements, takeApart }: ScaledType, blockElements: number) {
  return (bytes: Uint8Array, out: Float32Array, blocks: number): void => {
    const count = blocks * blockElements, integers = new Int8Array(count);
    const scales = new Float32Array(count / scaleElements);
    takeApart(bytes, blocks, integers, scales);
    for (let s = 0, i = 0; s < scales.length; s++) {
      const scale = scales[s]!;
      for (const end = i + scaleElements; i < end; i++) out[i] = scale * integers[i]!;
    }
  };
}
