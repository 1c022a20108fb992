/** Two attention probes at once, spelled `question+role`: what their query rows together would have asked. */
import type { Probe } from "../policy.ts";
import { merged } from "./evidence.ts";

/**
 * The mean is that over all rows of both, so a probe of many rows weighs more; the maximum, and the defensive form of it, are the larger of the two.
 * Each asks in a pass of its own, and neither sees the other's rows.
 * @returns null when the two cannot be mixed: a probe that scores without attention or with rules of its own, the same one twice, or two that both
 *   ask with rows of the chunk
 */
export function mixture(first: Probe, second: Probe): Probe | null {
  const both = [first, second];
  if (first.name === second.name || both.some((probe) => probe.needs?.mass !== true)) return null;
  if (both.every((probe) => probe.windowRows > 0)) return null;
  return {
    name: `${first.name}+${second.name}`,
    windowRows: Math.max(first.windowRows, second.windowRows),
    everyChunk: both.some((probe) => probe.everyChunk === true),
    needs: { ...first.needs, ...second.needs, pack: both.flatMap((probe) => probe.needs?.pack ?? []) },
    attributes: [...first.attributes ?? [], ...second.attributes ?? []],
    async look(context) {
      // one after the other: both use the one session
      const evidence = await first.look(context);
      return merged([evidence, await second.look(context)]);
    },
  };
}
