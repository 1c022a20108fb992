/**
 * What a reading remembers between two chunks, as facts and arrays: everything, so that a reading restored from them goes on bit for bit as the first would
 * have. A policy keeps no state of its own; what it must remember stands in slot attributes, which are among the arrays.
 */
import { MEMORY_SOURCE } from "../cache.ts";
import type { Reader } from "../reader.ts";
import type { Positions } from "../record.ts";
import { type StateArray, stateArray } from "./arrays.ts";
import type { Facts } from "./facts.ts";

/** Places and tokens are 32-bit numbers. */
const MOST = 2 ** 31 - 1;

export interface ReadingFacts {
  tokensRead: number;
  nextPosition: number;
  positions: Positions;
  compactions: number;
  evicted: number;
  policyMs: number;
  peakLive: number;
  /** Slots of the pool that every head has: where its run begins, how long it is, and how many of it are live. */
  runs: { start: number[]; room: number[]; live: number[] };
  sliding: { live: number; shift: number; tokens: number } | null;
  text: { length: number } | null;
  document: { count: number; before: number; salient: { token: number; first: number; last: number }[] } | null;
}

export function readingFacts(reader: Reader): ReadingFacts {
  const { tokensRead, nextPosition, positions, compactions, evicted, policyMs, cache, text, document } = reader;
  const { start, room, live, peakLive, sliding } = cache;
  return {
    tokensRead,
    nextPosition,
    positions,
    compactions,
    evicted,
    policyMs,
    peakLive,
    runs: { start: [...start], room: [...room], live: [...live] },
    sliding: sliding?.facts ?? null,
    text: text && { length: text.length },
    document: document?.facts ?? null,
  };
}

/** Views on all that it remembers, in an order that depends on facts alone. */
export function readingArrays({ cache, text, document }: Reader): StateArray[] {
  const heads = Array.from({ length: cache.heads }, (_, head) => head), { headDim } = cache.shape, { sliding } = cache;
  const arrays = cache.namedPools().map(([name, pool, width]) =>
    stateArray(
      `slots.${name}`,
      heads.map((head) => {
        const start = cache.start[head]!;
        return pool.subarray(start * width, (start + cache.live[head]!) * width);
      }),
      width,
    )
  );
  if (sliding) {
    const all = Array.from({ length: sliding.heads }, (_, head) => head);
    arrays.push(stateArray("sliding.keys", all.map((head) => sliding.keyRows(head)), headDim));
    arrays.push(stateArray("sliding.values", all.map((head) => sliding.valueRows(head)), headDim));
  }
  if (cache.latent) {
    arrays.push(stateArray("latent.sums", [cache.latent.sums], headDim));
    arrays.push(stateArray("latent.norms", [cache.latent.norms], 1));
  }
  if (text) {
    arrays.push(stateArray("text.sources", [text.sources.subarray(0, text.length)], 1));
    arrays.push(stateArray("text.tokens", [text.tokens.subarray(0, text.length)], 1));
  }
  if (document) {
    arrays.push(stateArray("document.sum", [document.sum], 1));
    arrays.push(stateArray("document.last", [document.last], 1));
  }
  return arrays;
}

/**
 * Sets the facts of a reader that has read nothing, whose arrays then wait to be filled. Runs stand where they stood if the cache is as large as it was, else
 * anew, one behind the other.
 * @throws {ModelError} where facts contradict each other or the reader
 */
export function restoreFacts(reader: Reader, facts: Facts): void {
  const { cache, text, document, options } = reader, pool = cache.heads * cache.capacity;
  reader.tokensRead = facts.whole("tokensRead", MOST);
  reader.nextPosition = facts.whole("nextPosition", reader.tokensRead);
  reader.positions = facts.oneOf("positions", ["original", "compact"]);
  reader.compactions = facts.whole("compactions", MOST);
  reader.evicted = facts.number("evicted");
  reader.policyMs = facts.number("policyMs");
  cache.peakLive = facts.number("peakLive");
  const runs = facts.object("runs"), all = { count: cache.heads, most: pool };
  const start = runs.wholes("start", { ...all, most: MOST }), room = runs.wholes("room", { ...all, most: MOST });
  const live = runs.wholes("live", all), sum = live.reduce((a, b) => a + b, 0);
  if (sum > cache.heads * options.budget.slots) {
    throw facts.refuse(
      `it holds ${sum} slots, where the budget of ${options.budget.slots} allows ${cache.heads} times as many`,
    );
  }
  cache.live.set(live);
  if (areRuns(start, room, live, pool)) {
    cache.start.set(start);
    cache.room.set(room);
  } else cache.placeRuns();
  if (cache.sliding) {
    const sliding = facts.object("sliding");
    cache.sliding.restore({
      live: sliding.whole("live", cache.sliding.most),
      shift: sliding.whole("shift", MOST, -MOST),
      tokens: sliding.whole("tokens", MOST),
    });
  }
  text?.restore(facts.object("text").whole("length", Math.min(MOST, reader.tokensRead)));
  if (document) {
    const known = facts.object("document");
    document.restore({
      count: known.whole("count", MOST),
      before: known.whole("before", MOST),
      salient: known.objects("salient", 1024).map((one) => ({
        token: one.whole("token", reader.engine.config.vocab - 1),
        first: one.whole("first", MOST),
        last: one.whole("last", MOST),
      })),
    });
  }
}

/** Doubts the arrays of a restored reader, once they are filled. @throws {ModelError} where places or tokens cannot be */
export function checkRestored({ cache, text, tokensRead, nextPosition, engine }: Reader, facts: Facts): void {
  const inside = (name: string, numbers: Int32Array, least: number, most: number) => {
    for (const number of numbers) {
      if (number < least || number > most) {
        throw facts.refuse(`its ${name} hold ${number}, where numbers from ${least} to ${most} work`);
      }
    }
  };
  for (let head = 0; head < cache.heads; head++) {
    const start = cache.start[head]!, live = cache.live[head]!;
    inside("slots' sources", cache.sources(head), MEMORY_SOURCE, tokensRead - 1);
    inside("slots' positions", cache.position.subarray(start, start + live), 0, Math.max(0, nextPosition - 1));
  }
  if (!text) return;
  const sources = text.sources.subarray(0, text.length);
  inside("text's places", sources, 0, tokensRead - 1);
  inside("text's tokens", text.tokens.subarray(0, text.length), 0, engine.config.vocab - 1);
  for (let i = 1; i < sources.length; i++) {
    if (sources[i]! <= sources[i - 1]!) throw facts.refuse("its text's places do not ascend");
  }
}

/** Whether runs share out a pool as the cache does: in order, and no room is lost that the next chunk may need. */
function areRuns(start: readonly number[], room: readonly number[], live: readonly number[], pool: number): boolean {
  const inOrder = start.every((first, head) =>
    live[head]! <= room[head]! && first + room[head]! <= (start[head + 1] ?? pool)
  );
  return inOrder && room.reduce((a, b) => a + b, 0) > pool - start.length;
}
