/** Sizes of what a reading remembers that only a pack knows. */
import type { Packs } from "./packs.ts";

export interface LearnedSizes {
  /** Numbers of a slot's index key. */
  indexerKey: number;
  /** Rows of a head's latent memory. */
  latentRank: number;
}

export function learnedSizes({ indexmem }: Packs): LearnedSizes {
  if (!indexmem) throw new Error("What an indexer and a latent memory keep is known with the pack of indexmem only");
  return { indexerKey: indexmem.indexDim, latentRank: indexmem.rank };
}
