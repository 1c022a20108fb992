/** Rotary positions (half-split form): the rows of cos and sin for any position, and moving a rotated key to another position. */
import type { Pass } from "./engine/engine.ts";
import { cachedLayers, kindOf } from "./engine/layers.ts";
import type { ModelConfig } from "./engine/weights.ts";

/** The positions of every cached layer's keys and queries. */
export interface LayerRopes {
  of(layer: number): Rope;
}

/** Of the cached layers of a model: the same object for all that are alike. */
export function ropesOf(config: ModelConfig): LayerRopes {
  const rope = new Rope(config);
  if (!config.layerKinds.includes("unrotated")) return rope;
  const still = Rope.still(config.headDim), kinds = cachedLayers(config).map((layer) => kindOf(config, layer));
  return { of: (layer) => kinds[layer] === "unrotated" ? still : rope };
}

/** Of the sliding layers; null where there are none. */
export function slidingRope({ slidingWindow, headDim, rotaryDim }: ModelConfig): Rope | null {
  return slidingWindow && new Rope({ headDim, rotaryDim, ropeTheta: slidingWindow.ropeTheta, ropeScaling: null });
}

/** What is made of each rope, once for all layers that have it. */
export function perRope<T>(ropes: LayerRopes, make: (rope: Rope) => T): (layer: number) => T {
  const made = new Map<Rope, T>();
  return (layer) => {
    const rope = ropes.of(layer);
    if (!made.has(rope)) made.set(rope, make(rope));
    return made.get(rope)!;
  };
}

export class Rope implements LayerRopes {
  /** Angle per position step of the pairs of numbers i and i + headDim / 2, [headDim / 2]. */
  readonly frequencies: Float64Array;
  private shiftCos: Float32Array = new Float32Array(0);
  private shiftSin: Float32Array = new Float32Array(0);
  private shiftFor = Number.NaN;

  /** What turned rows are longer by, where the model's are: queries, and keys as they are written. */
  readonly magnitude: number;
  private readonly turned: number;

  constructor(
    { headDim, rotaryDim = headDim, ropeTheta, ropeScaling }:
      & Pick<ModelConfig, "headDim" | "ropeTheta" | "ropeScaling">
      & Partial<Pick<ModelConfig, "rotaryDim">>,
  ) {
    this.turned = rotaryDim / 2;
    const turning = Float64Array.from({ length: this.turned }, (_, i) => Math.pow(ropeTheta, -2 * i / rotaryDim));
    scale(turning, ropeScaling);
    this.magnitude = ropeScaling?.kind === "factors" ? ropeScaling.magnitude ?? 1 : 1;
    this.frequencies = new Float64Array(headDim / 2); // the other pairs do not turn
    this.frequencies.set(turning);
  }

  /** Of layers without positions: a turn by nothing, whatever the position. */
  static still(headDim: number): Rope {
    const rope = new Rope({ headDim, ropeTheta: 1, ropeScaling: null });
    rope.frequencies.fill(0);
    return rope;
  }

  /** All layers are alike. */
  of(): Rope {
    return this;
  }

  /** cos and sin of `count` successive positions, [count, headDim / 2] each. */
  rows(first: number, count: number): { cos: Float32Array; sin: Float32Array } {
    const half = this.frequencies.length;
    const cos = new Float32Array(count * half), sin = new Float32Array(count * half);
    for (let row = 0, at = 0; row < count; row++) {
      for (let i = 0; i < half; i++, at++) {
        const angle = (first + row) * this.frequencies[i]!;
        cos[at] = Math.cos(angle);
        sin[at] = Math.sin(angle);
      }
    }
    return { cos, sin };
  }

  /** The same as a forward pass takes them, with the magnitude: of its tokens' rows, then of rows that are no tokens. */
  rowsOf(
    { tokens, firstPosition, soft }: Pick<Pass, "tokens" | "firstPosition" | "soft">,
  ): { cos: Float32Array; sin: Float32Array } {
    const { cos, sin } = this.longRows(firstPosition, tokens.length);
    if (!soft) return { cos, sin };
    const behind = this.longRows(soft.firstPosition, soft.count);
    return { cos: joined(cos, behind.cos), sin: joined(sin, behind.sin) };
  }

  /** As `rows`, of the length of turned rows. */
  longRows(first: number, count: number): { cos: Float32Array; sin: Float32Array } {
    const { magnitude, turned } = this, half = this.frequencies.length, rows = this.rows(first, count);
    if (magnitude === 1) return rows;
    for (let at = 0; at < count * half; at++) {
      if (at % half >= turned) continue;
      rows.cos[at]! *= magnitude;
      rows.sin[at]! *= magnitude;
    }
    return rows;
  }

  /** Rotates the key row at `from` by `delta` positions into `to` (the same place is allowed). */
  shift(keys: Float32Array, from: number, to: number, delta: number): void {
    const half = this.frequencies.length;
    if (delta !== this.shiftFor) this.prepareShift(delta);
    const cos = this.shiftCos, sin = this.shiftSin;
    for (let i = 0; i < half; i++) {
      const a = keys[from + i]!, b = keys[from + half + i]!;
      keys[to + i] = a * cos[i]! - b * sin[i]!;
      keys[to + half + i] = b * cos[i]! + a * sin[i]!;
    }
  }

  private readonly shifts = new Map<number, { cos: Float32Array; sin: Float32Array }>();

  /** Neighbouring slots mostly move by the same distance, and the distances of one compaction repeat over all heads. */
  private prepareShift(delta: number): void {
    let rows = this.shifts.get(delta);
    if (!rows) {
      if (this.shifts.size >= 16384) this.shifts.clear();
      rows = this.rows(delta, 1);
      this.shifts.set(delta, rows);
    }
    this.shiftCos = rows.cos;
    this.shiftSin = rows.sin;
    this.shiftFor = delta;
  }
}

function joined(a: Float32Array, b: Float32Array): Float32Array {
  const both = new Float32Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

/** Frequency scaling as the `transformers` package computes it. */
function scale(frequencies: Float64Array, scaling: ModelConfig["ropeScaling"]): void {
  if (!scaling) return;
  for (let i = 0; i < frequencies.length; i++) {
    const frequency = frequencies[i]!;
    if (scaling.kind === "linear") frequencies[i] = frequency / scaling.factor;
    else if (scaling.kind === "factors") frequencies[i] = frequency / scaling.factors[i]!;
    else {
      const { factor, lowFreqFactor, highFreqFactor, originalPositions } = scaling;
      const wavelength = 2 * Math.PI / frequency;
      if (wavelength > originalPositions / lowFreqFactor) frequencies[i] = frequency / factor;
      else if (wavelength >= originalPositions / highFreqFactor) {
        const smooth = (originalPositions / wavelength - lowFreqFactor) / (highFreqFactor - lowFreqFactor);
        frequencies[i] = (1 - smooth) * frequency / factor + smooth * frequency;
      }
    }
  }
}
