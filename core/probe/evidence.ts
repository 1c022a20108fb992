/** What attention probes do with the mass that their rows laid on the cache. */
import type { KvCache } from "../cache.ts";
import type { EmbeddingRows, Engine, PassResult } from "../engine/engine.ts";
import type { Evidence, Scores } from "../policy.ts";

/** Forwards probe tokens on top of the cache, which stays as it is, and gives the mass that they lay on its live slots. */
export async function askWith(
  engine: Engine,
  cache: KvCache,
  tokens: number[],
  firstPosition: number,
): Promise<Evidence> {
  const { mass } = await engine.pass(cache, { tokens, firstPosition, scoreRows: tokens.length });
  return onSlots(mass!, cache.live, tokens.length);
}

/** The same with rows that are no tokens. */
export async function askWithRows(engine: Engine, cache: KvCache, soft: EmbeddingRows): Promise<Evidence> {
  const { mass } = await engine.pass(cache, { tokens: [], firstPosition: 0, soft, scoreRows: soft.count });
  return onSlots(mass!, cache.live, soft.count);
}

/**
 * The mass of a pass without what lies on its own rows and on others that were appended for the while: they stand behind the first `slots` of every head.
 * @param slots per head
 */
export function onSlots(mass: NonNullable<PassResult["mass"]>, slots: Int32Array, rows: number): Evidence {
  const cut = Object.entries(mass).map(([aggregation, heads]) => [
    aggregation,
    heads.map((row, head) => row.subarray(0, slots[head]!)),
  ]);
  return { ...Object.fromEntries(cut), rows };
}

/** Evidence as if all rows had asked at once. Writes into the first one's arrays. */
export function merged(parts: readonly Evidence[]): Evidence {
  const [first, ...others] = parts;
  let result = first!;
  for (const other of others) result = mergedTwo(result, other);
  return result;
}

function mergedTwo(a: Evidence, b: Evidence): Evidence {
  const rows = a.rows! + b.rows!, share = b.rows! / rows;
  const larger = (mine: number, theirs: number) => theirs > mine ? theirs : mine;
  return {
    rows,
    ...into("mean", a, b, (mine, theirs) => mine + (theirs - mine) * share),
    ...into("max", a, b, larger),
    ...into("defensive", a, b, larger),
  };
}

/** Merges `b` into `a`'s arrays, where both have the aggregation. */
function into(
  aggregation: "mean" | "max" | "defensive",
  a: Evidence,
  b: Evidence,
  merge: (mine: number, theirs: number) => number,
): { mean?: Scores; max?: Scores; defensive?: Scores } {
  const mine = a[aggregation], theirs = b[aggregation];
  if (!mine || !theirs) return {};
  mine.forEach((row, head) => {
    const other = theirs[head]!;
    for (let slot = 0; slot < row.length; slot++) row[slot] = merge(row[slot]!, other[slot]!);
  });
  return { [aggregation]: mine };
}
