import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { flow } from "../../core/compensate/flow.ts";
import { flowConvex } from "../../core/compensate/flow_convex.ts";
import { flowAdd } from "../../core/compensate/flow_add.ts";
import { openTiny } from "../tiny_llama.ts";
import { gone, inventedContext, length } from "./head.ts";

const { engine, close } = await openTiny();
const D = 32;

describe("attention flow", () => {
  after(close);

  test("flow: attention mass and the values that it weighs are the same before and after, over two compactions", async () => {
    const stage = flow({ share: 1 }), context = inventedContext(engine, stage), { cache, keep } = context;
    // second round: every other one of those that stay goes, and those that stay have at least as much mass
    for (const round of [1, 2]) {
      for (let head = 0; head < cache.heads; head++) {
        const { protectedSlots } = context, slots = round === 1 ? [...cache.sources(head).keys()] : [...keep[head]!];
        const bias = cache.attribute("logBias", head),
          values = cache.valueRows(head),
          mass = context.evidence.mean![head]!;
        const grown = (slot: number) => mass[slot]! * Math.exp(bias[slot]!);
        if (round === 2) {
          const open = slots.filter((slot) => !protectedSlots[head]![slot]).sort((a, b) => grown(b) - grown(a));
          const leaving = new Set(open.slice(open.length / 2));
          keep[head] = Int32Array.from(slots.filter((slot) => !leaving.has(slot)));
        }
        // the probe of a round sees the biases of the rounds before
        const seen = mass.map((_, slot) => slots.includes(slot) ? grown(slot) : 0);
        const weighed = (among: Iterable<number>, weight: (slot: number) => number) => {
          const sum = new Float64Array(D + 1);
          for (const slot of among) {
            sum[D]! += weight(slot);
            for (let d = 0; d < D; d++) sum[d]! += weight(slot) * values[slot * D + d]!;
          }
          return sum;
        };
        const before = weighed(slots, (slot) => seen[slot]!), biasBefore = bias.slice();
        const only = { ...context, keep: keep.map((slots, other) => other === head ? slots : all(90)) };
        const evidence = { mean: context.evidence.mean!.map((row, h) => h === head ? seen : row) };
        await stage.apply({ ...only, evidence });
        const now = (slot: number) => seen[slot]! * Math.exp(bias[slot]! - biasBefore[slot]!);
        const left = weighed(keep[head]!, now);
        before.forEach((value, i) =>
          assert.ok(Math.abs(left[i]! - value) < 1e-4, `round ${round}, head ${head}: ${left[i]} instead of ${value}`)
        );
        assert.ok(keep[head]!.some((slot) => now(slot) > seen[slot]! * 1.01), "something flowed");
      }
    }
  });

  test("flow: an evicted slot gives a receiver no more than that has itself", async () => {
    const stage = flow(), context = inventedContext(engine, stage), { cache, keep } = context;
    const mass = context.evidence.mean![0]!;
    for (const slot of gone(90, keep[0]!)) mass[slot] = 1000;
    await stage.apply(context);
    const bias = cache.attribute("logBias", 0);
    // load: at most all 60 evicted slots went to one
    for (const slot of keep[0]!) assert.ok(bias[slot]! <= Math.log(61), String(bias[slot]));
  });

  test("flow: the share of all heads' evicted slots that has the most mass flows, the others are dropped", async () => {
    const stage = flow({ share: 0.25 }), context = inventedContext(engine, stage), { cache, keep } = context;
    const mass = context.evidence.mean!, light = 1;
    mass[light] = mass[light]!.map((own) => own / 1000);
    const evicted = keep.flatMap((kept, head) => gone(90, kept).map((slot) => ({ head, own: mass[head]![slot]! })));
    const heaviest = evicted.toSorted((a, b) => b.own - a.own).slice(0, Math.ceil(evicted.length / 4));
    await stage.apply(context);
    for (let head = 0; head < cache.heads; head++) {
      const received = [...cache.attribute("logBias", head)];
      const stood = received.reduce((sum, bias, slot) => sum + mass[head]![slot]! * Math.expm1(bias), 0);
      const given = heaviest.filter((one) => one.head === head).reduce((sum, { own }) => sum + own, 0);
      assert.ok(stood <= given * 1.0001, `head ${head}: ${stood} of ${given}`);
      assert.equal(received.some((bias) => bias > 0), head !== light, `head ${head}`);
    }
  });

  test("flow: without attention evidence every token weighs the same, and a slot as many as it stands for", async () => {
    const stage = flow({ share: 1 }), context = inventedContext(engine, stage), { cache, keep } = context;
    await stage.apply({ ...context, evidence: { score: context.scores } });
    const stood = (head: number) =>
      keep[head]!.reduce((sum, slot) => sum + Math.exp(cache.attribute("logBias", head)[slot]!), 0);
    for (let head = 0; head < cache.heads; head++) assert.ok(Math.abs(stood(head) - 90) < 1e-3, String(stood(head)));
  });

  test("flow: an evicted slot goes to the kept one with the same key", async () => {
    const stage = flow({ m: 1, share: 1 }), context = inventedContext(engine, stage), { cache, keep } = context;
    const lost = gone(90, keep[0]!)[0]!, heir = keep[0]!.find((slot) => !context.protectedSlots[0]![slot])!;
    context.keep[0] = Int32Array.from([...keep[0]!, ...gone(90, keep[0]!).slice(1)]).sort(); // one alone is evicted
    const keys = cache.keyRows(0), values = cache.valueRows(0), mass = context.evidence.mean![0]!;
    keys.set(keys.slice(lost * D, (lost + 1) * D), heir * D);
    const [own, other, a, b] = [values[heir * D]!, values[lost * D]!, mass[heir]!, Math.min(mass[lost]!, mass[heir]!)];
    await stage.apply(context);
    assert.ok(Math.abs(values[heir * D]! - (a * own + b * other) / (a + b)) < 1e-5);
    assert.ok(Math.abs(cache.attribute("logBias", 0)[heir]! - Math.log((a + b) / a)) < 1e-5);
    for (const slot of context.keep[0]!) if (slot !== heir) assert.equal(cache.attribute("logBias", 0)[slot], 0);
  });

  test("flow-convex and flow-add: no value becomes longer than the longest", async () => {
    for (const stage of [flowConvex({ gamma: 5 }), flowAdd({ gate: 5 })]) {
      const context = inventedContext(engine, stage), { cache, keep } = context;
      const longest = Math.max(...Array.from({ length: 90 }, (_, slot) => length(cache.valueRows(0), slot, D)));
      await stage.apply(context);
      for (const slot of keep[0]!) assert.ok(length(cache.valueRows(0), slot, D) <= longest + 1e-5, stage.name);
    }
  });

  function all(live: number): Int32Array {
    return Int32Array.from({ length: live }, (_, slot) => slot);
  }
});
