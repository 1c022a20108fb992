/** CaM, D2O and value blending against plain references. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { cam } from "../../core/compensate/cam.ts";
import { d2o } from "../../core/compensate/d2o.ts";
import { merge } from "../../core/compensate/merge.ts";
import { openTiny } from "../tiny_llama.ts";
import { gone, inventedContext, length } from "./head.ts";

const { engine, close } = await openTiny();
const D = 32;

describe("merging", () => {
  after(close);

  const cosine = (keys: Float32Array, a: number, b: number) => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += keys[a * D + d]! * keys[b * D + d]!;
    return sum / length(keys, a, D) / length(keys, b, D);
  };
  const near = (measured: ArrayLike<number>, asked: ArrayLike<number>, what: string) => {
    assert.equal(measured.length, asked.length);
    for (let i = 0; i < asked.length; i++) {
      assert.ok(Math.abs(measured[i]! - asked[i]!) < 1e-5, `${what}, ${i}: ${measured[i]} instead of ${asked[i]}`);
    }
  };
  /** Each evicted slot with its most similar receiver. */
  const pairs = (keys: Float32Array, evicted: number[], receivers: number[]) =>
    evicted.map((slot) => {
      const best = receivers.reduce((a, b) => cosine(keys, slot, b) > cosine(keys, slot, a) ? b : a);
      return { slot, best, cosine: cosine(keys, slot, best) };
    });

  test("d2o: only what is more alike than the head's threshold merges, and the threshold follows", async () => {
    const stage = d2o(), context = inventedContext(engine, stage), { cache, keep } = context;
    let threshold = 0;
    for (const round of [1, 2]) {
      if (round === 2) context.keep[0] = keep[0]!.filter((slot) => context.protectedSlots[0]![slot] || slot % 2 === 0);
      const keys = cache.keyRows(0),
        values = cache.valueRows(0),
        asked = { keys: keys.slice(), values: values.slice() };
      const receivers = [...keep[0]!].filter((slot) => !context.protectedSlots[0]![slot]);
      const found = pairs(keys, gone(90, keep[0]!), receivers);
      const mean = found.reduce((sum, pair) => sum + pair.cosine, 0) / found.length;
      threshold = round === 1 ? mean : 0.5 * threshold + 0.5 * mean;
      const merging = found.filter((pair) => pair.cosine >= threshold);
      assert.ok(merging.length > 0 && merging.length < found.length);
      for (const slot of receivers) {
        const mine = merging.filter(({ best }) => best === slot);
        for (const [to, from] of [[asked.keys, keys], [asked.values, values]] as const) {
          for (let d = 0; d < D; d++) {
            const sum = mine.reduce((sum, pair) => sum + pair.cosine * from[pair.slot * D + d]!, from[slot * D + d]!);
            to[slot * D + d] = sum / (1 + mine.length);
          }
        }
      }
      await stage.apply(context);
      near(keys, asked.keys, `keys, round ${round}`);
      near(values, asked.values, `values, round ${round}`);
      near(cache.attribute("threshold", 0).subarray(0, 1), [threshold], "threshold");
    }
  });

  test("merge: below the threshold nothing is blended", async () => {
    for (const threshold of [0, 0.3, 1]) {
      const stage = merge(threshold), context = inventedContext(engine, stage), { cache, keep } = context;
      const keys = cache.keyRows(0), values = cache.valueRows(0), before = values.slice();
      const receivers = [...keep[0]!].filter((slot) => !context.protectedSlots[0]![slot]);
      const found = pairs(keys, gone(90, keep[0]!), receivers).filter((pair) => pair.cosine >= threshold);
      const reached = new Set(found.map(({ best }) => best));
      await stage.apply(context);
      for (const slot of keep[0]!) {
        const same = values.subarray(slot * D, (slot + 1) * D).every((value, d) => value === before[slot * D + d]);
        assert.equal(same, !reached.has(slot), `threshold ${threshold}, slot ${slot}`);
      }
      assert.equal(reached.size === 0, threshold === 1);
    }
  });

  test("cam: the next kept slots share a value that had more attention than they; one without attention is dropped", async () => {
    const stage = cam({ m: 3, bounded: false }), context = inventedContext(engine, stage), { cache, keep } = context;
    const lost = gone(90, keep[0]!), mass = context.evidence.mean![0]!, values = cache.valueRows(0);
    mass.fill(0.5);
    for (const slot of lost) mass[slot] = 0;
    mass[lost[7]!] = 0.6; // p is 1, so the draw does not matter
    const asked = values.slice(), next = [...keep[0]!].filter((slot) => slot > lost[7]!).slice(0, 3);
    for (const slot of next) for (let d = 0; d < D; d++) asked[slot * D + d]! += values[lost[7]! * D + d]! / 3;
    await stage.apply(context);
    near(values, asked, "values");
  });

  test("cam: the share of merges is the attention beside that of the next kept slots", async () => {
    let merged = 0, count = 0;
    for (let seed = 1; seed <= 12; seed++) {
      const stage = cam({ m: 1, bounded: false }), context = inventedContext(engine, stage, { seed, heads: 8 });
      const { cache, keep } = context;
      for (let head = 0; head < 8; head++) {
        // another token number in every run, as a longer document would have
        cache.sources(head).forEach((token, slot, source) => source[slot] = token + 90 * seed);
        const lost = gone(90, keep[head]!),
          mass = context.evidence.mean![head]!.fill(1),
          values = cache.valueRows(head);
        values.fill(0);
        for (const slot of lost) {
          mass[slot] = 0.25;
          values[slot * D] = 1;
        }
        count += lost.length;
      }
      await stage.apply(context);
      for (let head = 0; head < 8; head++) for (const slot of keep[head]!) merged += cache.valueRows(head)[slot * D]!;
    }
    assert.ok(Math.abs(merged / count - 0.25) < 0.03, `${merged} of ${count}`);
  });
});
