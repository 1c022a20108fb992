/**
 * A family of models: what its decoder does otherwise than a plain Llama's, and how its files say so. One file of this folder each; the graphs know
 * configurations only, no family's name.
 */
import type { ModelError } from "../../errors.ts";
import type { ModelConfig } from "../weights.ts";

export interface Architecture {
  /** As records and packs name it. */
  name: string;
  /** How GGUF files say so, whose `general.architecture` is `name`; absent where such files go by another name. */
  gguf?: GgufForm;
  huggingFace: HuggingFaceForm;
  /** Matrices of a layer that stand in files as one, one below the other: its name, and names and rows of its parts. */
  fused?(config: ModelConfig): Record<string, [part: string, rows: number][]>;
}

/** Makes the configuration of what a file states. @param plain what every family states alike @throws {ModelError} for what cannot be run */
export type ConfigForm = (plain: ModelConfig, keys: Keys) => ModelConfig;

export interface GgufForm {
  /** llama.cpp's converter interleaves the halves of rotary pairs in the rows of queries and keys. */
  isInterleaved: boolean;
  /** Our names of a layer's tensors, where llama.cpp has others than for Llama. */
  names?: Record<string, string>;
  config?: ConfigForm;
}

export interface HuggingFaceForm {
  /** `model_type` of `config.json`. */
  modelType: string;
  config?: ConfigForm;
  /** Added to the gains of all norms: some checkpoints hold what they differ from 1 by. */
  gainsPlus?: number;
}

/** Reads values of a file's configuration and doubts them: all throw a `ModelError`. */
export interface Keys {
  /** As it stands there; undefined where it does not. A list of equal values is one. */
  value(key: string): unknown;
  /** The same, and a list as it is. */
  list(key: string): unknown;
  /** A whole number from 1 on. */
  whole(key: string, otherwise?: number): number;
  /** A number above 0. */
  positive(key: string, otherwise?: number): number;
  /** Refuses other values; a missing one is the first. */
  only(key: string, ...works: unknown[]): void;
  /** @param works what would work, the end of a sentence */
  refuse(key: string, value: unknown, works: string): ModelError;
}
