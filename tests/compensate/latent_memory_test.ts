/** The latent memory: what is written, what attention reads of it, and that it is nothing to anybody who does not use it. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { cpuAllocation, resolveBudget } from "../../core/budget.ts";
import { KvCache } from "../../core/cache.ts";
import { latentMemory } from "../../core/compensate/latent_memory.ts";
import { latentBytes, LatentState, latentSums, latentUpdate } from "../../core/compensate/latent_state.ts";
import type { Packs } from "../../core/pack/packs.ts";
import { parsePolicy } from "../../core/policies.ts";
import { Reader } from "../../core/reader.ts";
import { Rope } from "../../core/rope.ts";
import { ReferenceLlama } from "../engine/reference_llama.ts";
import { randomNumbers } from "../host.ts";
import { randomPacks, RANK } from "../packs.ts";
import { difference, fakeTokenizer, openTiny, tokens } from "../tiny_llama.ts";
import { gone, inventedContext } from "./head.ts";

const gated = (packs: Packs, gate: number): Packs => {
  const { indexmem } = packs,
    layers = indexmem!.layers.map((layer) => ({ ...layer, latent: { ...layer.latent, gate } }));
  return { ...packs, indexmem: { ...indexmem!, layers } };
};
const features = { mass: ["mean"], readout: true, indexer: true, packs: ["indexmem"] } as const;
const open = { features, packs: randomPacks };
const { engine, model, close } = await openTiny(open);
const shut = await openTiny({ ...open, packs: async (model) => gated(await randomPacks(model), 0) });
const plain = await openTiny({ features: { mass: ["mean"] } });

const SLOTS = 72, CHUNK = 32, RESERVE = 40, SPEC = "probe=window,aggregate=mean,compensate=";
const document = tokens(7 * CHUNK, 6), question = tokens(9, 7);

function readerOf(on: typeof engine, spec: string, positions: "original" | "compact" = "original"): Reader {
  const policy = parsePolicy(spec);
  const budget = resolveBudget({
    config: on.config,
    policy,
    request: { slots: SLOTS },
    chunkTokens: CHUNK,
    reserve: RESERVE,
    unboundedPositions: true,
    availableBytes: 1e9,
    packs: on.packs,
  });
  return new Reader(on, policy, {
    budget,
    chunkTokens: CHUNK,
    reserve: RESERVE,
    positions,
    questionTokens: [],
    answerTokens: [],
    tokenizer: fakeTokenizer,
  });
}

/** Reads the document and writes the question: logits, tokens of all slots and the reader. */
async function read(on: typeof engine, spec: string, positions?: "original" | "compact") {
  const reader = readerOf(on, spec, positions), { cache } = reader;
  for (let from = 0; from < document.length; from += CHUNK) await reader.read(document.slice(from, from + CHUNK));
  const sources = Array.from({ length: cache.heads }, (_, head) => [...cache.sources(head)]);
  const logits = [...await reader.write(question)];
  for (const token of tokens(4, 8)) logits.push(...await reader.next(token));
  return { logits, sources, reader };
}

describe("latent-memory", () => {
  after(async () => {
    for (const opened of [{ close }, shut, plain]) await opened.close();
  });

  test("a gate of 0 gives exactly what drop gives, on its graph and on one without a memory", async () => {
    for (const positions of ["original", "compact"] as const) {
      const memory = await read(shut.engine, `${SPEC}latent-memory`, positions);
      assert.ok(memory.reader.compactions > 3);
      assert.ok(memory.reader.cache.latent!.sums.some((sum) => sum !== 0), "it was written");
      for (const on of [shut.engine, engine, plain.engine]) {
        const dropped = await read(on, `${SPEC}drop`, positions);
        assert.deepEqual(memory.sources, dropped.sources);
        assert.deepEqual(memory.logits, dropped.logits);
      }
      const open = await read(engine, `${SPEC}latent-memory`, positions);
      assert.ok(difference(open.logits, memory.logits) > 1e-3, "and an open one does something");
    }
  });

  test("the state never changes its size, stands in the bytes, and what reads it stays finite", async () => {
    const reader = readerOf(engine, "indexmem"), { cache } = reader, state = cache.latent!, { heads, shape } = cache;
    const { sums, norms } = state, policy = parsePolicy("indexmem");
    assert.deepEqual([sums.length, norms.length], [heads * RANK * shape.headDim, heads * RANK]);
    const sizes = { slots: SLOTS, chunkTokens: CHUNK, reserve: RESERVE };
    const without = cpuAllocation(engine.config, parsePolicy("indexer"), sizes, engine.packs).bytes;
    assert.equal(cache.bytes - without, sums.byteLength + norms.byteLength);
    assert.equal(sums.byteLength + norms.byteLength, heads * latentBytes(RANK, shape.headDim));
    assert.equal(cache.bytes, cpuAllocation(engine.config, policy, sizes, engine.packs).bytes);
    // given in bytes, the budget bounds the state too
    const budget = (bytes: number) =>
      resolveBudget({
        config: engine.config,
        policy,
        request: { bytes },
        chunkTokens: CHUNK,
        reserve: RESERVE,
        unboundedPositions: true,
        availableBytes: 1e9,
        packs: engine.packs,
      }).slots;
    assert.deepEqual([budget(cache.bytes), budget(cache.bytes - 1)], [SLOTS, SLOTS - 1]);
    for (let from = 0; from < document.length; from += CHUNK) {
      const before = sums.slice(), { compactions } = reader;
      await reader.read(document.slice(from, from + CHUNK));
      assert.equal(cache.latent!.sums, sums);
      assert.equal(difference(before, sums) > 0, reader.compactions > compactions, "written when something is evicted");
      assert.ok(sums.every(Number.isFinite) && norms.every((norm) => norm >= 0));
    }
    assert.ok((await reader.write(question)).every(Number.isFinite));
  });

  test("what is written is the evicted slots' keys at position 0 and their values, wherever they stand", async () => {
    const stage = latentMemory(), rope = new Rope(engine.config), states: LatentState[] = [];
    for (const shift of [0, 5000]) {
      const context = inventedContext(engine, stage, { headDim: 32 }), { cache, keep } = context;
      const raw = cache.keys.slice(), { latent } = engine.packs.indexmem!.layers[0]!, random = randomNumbers(3);
      for (let slot = 0; slot < cache.position.length; slot++) {
        cache.position[slot] = shift + Math.floor(900 * random());
        rope.shift(cache.keys, slot * 32, slot * 32, cache.position[slot]!);
      }
      const asked = new LatentState(cache.heads, RANK, 32);
      for (let again = 0; again < 2; again++) {
        await stage.apply(context);
        for (let head = 0; head < cache.heads; head++) {
          const slots = gone(90, keep[head]!), start = cache.start[head]!;
          const rows = (pool: Float32Array) =>
            Float32Array.from(
              slots.flatMap((slot) => [...pool.subarray((start + slot) * 32, (start + slot + 1) * 32)]),
            );
          latentUpdate(asked.run(head), latentSums(latent.phi, rows(raw), rows(cache.values), 32), latent);
        }
      }
      assert.ok(difference(cache.latent!.sums, asked.sums) < 2e-4, `${difference(cache.latent!.sums, asked.sums)}`);
      assert.ok(difference(cache.latent!.norms, asked.norms) < 2e-4);
      states.push(cache.latent!);
    }
    assert.ok(difference(states[0]!.sums, states[1]!.sums) < 2e-3);
  });

  test("a head that loses nothing keeps what it holds, whatever others lose", async () => {
    const stage = latentMemory(), context = inventedContext(engine, stage), { cache } = context;
    await stage.apply(context);
    const before = cache.latent!.sums.slice();
    context.keep[1] = Int32Array.from({ length: cache.live[1]! }, (_, slot) => slot);
    await stage.apply(context);
    const size = before.length / cache.heads,
      run = (sums: Float32Array, head: number) => sums.subarray(head * size, (head + 1) * size);
    for (const [head, stays] of [false, true, false].entries()) {
      assert.equal(difference(run(before, head), run(cache.latent!.sums, head)) === 0, stays);
    }
  });

  test("attention of one row, of few and of many reads it as plain loops do, over heads of any length", async () => {
    const reference = await ReferenceLlama.load(model),
      latent = engine.packs.indexmem!.layers.map(({ latent }) => latent);
    const cache = new KvCache(engine.config, 300, [], RANK), random = randomNumbers(5);
    const before = await engine.pass(cache, { tokens: tokens(60, 1), firstPosition: 0 });
    cache.append(before.keys, before.values, 60, 0, 0);
    cache.live.forEach((live, head) => cache.live[head] = live - 3 * head);
    const { sums, norms } = cache.latent!;
    for (const rows of [1, 20, 90]) {
      sums.forEach((_, i) => sums[i] = 0.2 * (2 * random() - 1));
      norms.forEach((_, i) => norms[i] = random());
      const ids = tokens(rows, 2),
        { logits } = await engine.pass(cache, { tokens: ids, firstPosition: 60, logitsRows: rows });
      const asked = reference.forward(cache, ids, 60, latent).logits.flatMap((row) => [...row]);
      assert.ok(difference(logits!, asked) < 2e-4, `${rows} rows: ${difference(logits!, asked)}`);
      assert.ok(difference(logits!, reference.forward(cache, ids, 60).logits.flatMap((row) => [...row])) > 1e-2);
    }
  });

  test("a note on the side sees nothing of the memory, and afterwards it is there again", async () => {
    const note = (reader: Reader) => reader.aside(40, () => reader.write(question));
    const [memory, drop] = [readerOf(engine, `${SPEC}latent-memory`), readerOf(engine, `${SPEC}drop`)];
    for (const reader of [memory, drop]) await reader.read(document.slice(0, SLOTS + 1));
    // the same slots as long as nothing was read back
    assert.deepEqual(await note(memory), await note(drop));
    assert.ok(memory.cache.latent!.visible);
    assert.ok(difference(await memory.write(question), await drop.write(question)) > 1e-3);
  });
});
