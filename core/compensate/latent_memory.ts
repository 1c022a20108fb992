/**
 * Evicted keys and values are written into a memory whose size never changes, and attention reads it beside the slots (IndexMem, arXiv 2605.25475). Its
 * arithmetic is `latent_state.ts`, what reads it stands in the model's graph (`engine/latent_readout.ts`).
 *
 * Differs: keys are turned back to position 0 before they are written and queries are read before they are turned, so the memory does not depend on where
 * slots stand, and they may move. A head that loses nothing writes nothing, and what it holds does not decay.
 */
import { LatentSumsGraph } from "../dense/latent_sums.ts";
import { oneAhead } from "../dense/one_ahead.ts";
import type { Compensate } from "../policy.ts";
import { ropesOf } from "../rope.ts";
import { evictedSlots } from "./heads.ts";
import { latentUpdate } from "./latent_state.ts";

export const latentMemory = (): Compensate => ({
  name: "latent-memory",
  needs: { readout: true, pack: "indexmem" },
  async apply({ engine, cache, keep }) {
    const { layers } = engine.packs.indexmem!, { headDim, kvHeads } = cache.shape, ropes = ropesOf(engine.config);
    const graph = await LatentSumsGraph.open(engine, headDim);
    // two, as the next head's are made while the graph reads these
    const turned = [0, 1].map(() => new Float32Array(cache.live.reduce((a, b) => Math.max(a, b)) * headDim));
    await oneAhead(cache.heads, (head) => {
      const slots = evictedSlots(cache.live[head]!, keep[head]!);
      if (slots.length === 0) return null;
      const layer = Math.floor(head / kvHeads),
        { latent } = layers[layer]!,
        rope = ropes.of(layer),
        keys = turned[head % 2]!;
      const rows = cache.keyRows(head), first = cache.start[head]!;
      slots.forEach((slot, i) => {
        keys.set(rows.subarray(slot * headDim, (slot + 1) * headDim), i * headDim);
        rope.shift(keys, i * headDim, i * headDim, -cache.position[first + slot]!);
      });
      const own = keys.subarray(0, slots.length * headDim);
      return graph.of(own, cache.valueRows(head), slots, latent.phi)
        .then((added) => latentUpdate(cache.latent!.run(head), added, latent));
    });
    return keep;
  },
});
