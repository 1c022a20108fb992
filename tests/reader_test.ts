import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { type Budget, resolveBudget } from "../core/budget.ts";
import { KvCache, MEMORY_SOURCE, numbersOf } from "../core/cache.ts";
import { chunks } from "../core/text/chunks.ts";
import { argmax } from "../core/decode/write.ts";
import { spell } from "../core/engine/features.ts";
import type { Engine, Pass } from "../core/engine/engine.ts";
import { parsePolicy, policies } from "../core/policies.ts";
import { attributesFor, featuresFor, leastBudget, RECENT, SINKS } from "../core/policy.ts";
import { Reader, type ReaderOptions } from "../core/reader.ts";
import { ReferenceLlama, referenceMass } from "./engine/reference_llama.ts";
import { randomNumbers } from "./host.ts";
import { EVERY_FEATURE, randomPacks } from "./packs.ts";
import { fakeTokenizer, openTiny, tokens } from "./tiny_llama.ts";

const QUESTION = tokens(12, 77);
const ANSWER = tokens(5, 78);
const CHUNKS = [1, 7, 32, 33, 64, 100, 300];
const EVICTING = Object.keys(policies).filter((name) => parsePolicy(name).evicts);
const RESERVE = QUESTION.length + 12;

// opened here, not below: Deno does not wait for an asynchronous describe, and would run nothing of it
const engines = {
  // everything that any policy may ask of the graph
  rich: await openTiny({
    features: EVERY_FEATURE,
    packs: randomPacks,
  }),
  plain: await openTiny(),
};

describe("reader", () => {
  after(async () => {
    for (const { close } of Object.values(engines)) await close();
  });

  /** As `openModel` chooses the graph. */
  function engineFor(policy: string): Engine {
    return engines[spell(featuresFor(parsePolicy(policy))) === "plain" ? "plain" : "rich"].engine;
  }

  function budgetOf(policy: string, slots: number, chunkTokens: number): Budget {
    return resolveBudget({
      config: engines.plain.engine.config,
      policy: parsePolicy(policy),
      request: { slots },
      chunkTokens,
      reserve: RESERVE,
      unboundedPositions: true,
      availableBytes: 1e9,
      packs: engines.rich.engine.packs,
    });
  }

  interface Run {
    policy: string;
    slots: number;
    chunkTokens: number;
    positions?: ReaderOptions["positions"];
    engine?: Engine;
    /** How the document arrives: in other pieces for every seed. */
    split?: number;
    /** After every chunk, with the live slots per head before it. */
    look?: (reader: Reader, before: number, chunk: number[]) => void;
  }

  /** Reads a document as `answer` does, writes the question and eight tokens. */
  async function run(document: number[], asked: Run) {
    const { policy, slots, chunkTokens, positions = "original", engine, split = 0, look } = asked;
    const options = {
      budget: budgetOf(policy, slots, chunkTokens),
      chunkTokens,
      reserve: RESERVE,
      positions,
      questionTokens: QUESTION,
      answerTokens: ANSWER,
      tokenizer: fakeTokenizer,
    };
    const reader = new Reader(engine ?? engineFor(policy), parsePolicy(policy), options);
    const random = randomNumbers(split);
    async function* arriving() {
      for (let from = 0; from < document.length;) {
        const to = from + Math.floor(2 * chunkTokens * random() ** 2);
        yield document.slice(from, to);
        from = to;
      }
    }
    for await (const { chunk } of chunks(arriving(), chunkTokens)) {
      const before = reader.cache.meanLive;
      await reader.read(chunk);
      look?.(reader, before, chunk);
    }
    const written: number[] = [];
    let logits = await reader.write(QUESTION);
    for (let i = 0; i < 8; i++) {
      written.push(argmax(logits));
      logits = await reader.write([written.at(-1)!]);
    }
    return { reader, written };
  }

  function attribute(reader: Reader, name: "source" | "position", head: number): number[] {
    const { cache } = reader, start = cache.start[head]!;
    return [...cache[name].subarray(start, start + cache.live[head]!)];
  }

  /** Chunk sizes of a policy's turn: all policies together meet all sizes. */
  const sizesOf = (turn: number, count: number) =>
    Array.from({ length: count }, (_, i) => CHUNKS[(turn + 2 * i) % CHUNKS.length]!);
  /** A short document where chunks are many. */
  const documentFor = (chunkTokens: number) => tokens(chunkTokens === 1 ? 90 : chunkTokens === 7 ? 180 : 420);
  const slotsOf = (policy: string) => Math.max(64, leastBudget(parsePolicy(policy)) + 20);

  EVICTING.forEach((policy, turn) => {
    for (const positions of ["original", "compact"] as const) {
      test(`after every chunk: budget, room, bytes, order, sinks and recent window (${policy}, ${positions})`, async () => {
        for (const chunkTokens of sizesOf(turn + Number(positions === "compact"), 2)) {
          const document = documentFor(chunkTokens), slots = slotsOf(policy);
          const memory = parsePolicy(policy).compensate.memorySlots?.(slots) ?? 0;
          const what = `${policy}, chunks of ${chunkTokens}, ${positions} positions`;
          let compactions = 0, pool: ArrayBufferLike | null = null;
          const { reader } = await run(document, {
            policy,
            slots,
            chunkTokens,
            positions,
            split: turn,
            look(reader, before, chunk) {
              const { cache } = reader;
              const due = before + chunk.length > slots;
              assert.equal(reader.compactions, compactions += Number(due), `compacted exactly when due: ${what}`);
              const live = cache.live.reduce((sum, live) => sum + live);
              assert.ok(live <= slots * cache.heads, what);
              if (due) assert.equal(live, slots * cache.heads, `a compaction wastes nothing: ${what}`);
              assert.ok(cache.peakLive <= cache.capacity, what);
              pool ??= cache.keys.buffer;
              assert.equal(cache.keys.buffer, pool, what);
              assert.equal(reader.kvBytes, reader.options.budget.bytes, what);
              assertRoom(cache, chunkTokens + RESERVE, what);
              const longest = Math.max(...cache.live);
              for (let head = 0; head < cache.heads; head++) {
                const source = attribute(reader, "source", head), position = attribute(reader, "position", head);
                const sinks = Math.min(SINKS, reader.tokensRead), recent = Math.min(RECENT, reader.tokensRead);
                const tokens = source.filter((token) => token !== MEMORY_SOURCE);
                assert.ok(tokens.every((token, i) => i === 0 || token > tokens[i - 1]!), `document order: ${what}`);
                assert.equal(source.length - tokens.length, reader.compactions > 0 ? memory : 0, what);
                assert.deepEqual(source.slice(0, sinks), [...Array(sinks).keys()], `sinks: ${what}`);
                const newest = Array.from({ length: recent }, (_, i) => reader.tokensRead - recent + i);
                assert.deepEqual(source.slice(-recent), newest, `recent window: ${what}`);
                if (positions === "original") {
                  assert.ok(source.every((token, i) => token === MEMORY_SOURCE || position[i] === token), what);
                } else {
                  const aligned = position.map((_, slot) => slot < sinks ? slot : longest - position.length + slot);
                  assert.deepEqual(position, aligned, what);
                }
                assert.equal(position.at(-1), reader.nextPosition - 1, what);
              }
            },
          });
          assert.ok(compactions > 0);
          assert.equal(reader.tokensRead, document.length + QUESTION.length + 8);
          const evicted = reader.tokensRead - reader.cache.meanLive;
          assert.equal(reader.evicted, evicted, `what is missing was counted: ${what}`);
          assert.ok(reader.cache.peakLive <= reader.cache.capacity, what);
        }
      });
    }
  });

  /** Every head can take `count` more slots, in a run of its own. */
  function assertRoom(cache: KvCache, count: number, what: string): void {
    let end = 0;
    for (let head = 0; head < cache.heads; head++) {
      assert.ok(cache.start[head]! >= end, `head ${head} stands on another: ${what}`);
      end = cache.start[head]! + cache.room[head]!;
      assert.ok(cache.room[head]! - cache.live[head]! >= count, `room of head ${head}: ${what}`);
    }
    assert.ok(end <= cache.source.length, what);
  }

  test("a ragged policy allocates what a uniform one does, and its heads differ in length", async () => {
    const seen: Record<string, { bytes: number; live: Set<number> }> = {};
    for (const policy of ["snapkv", "pyramidkv", "adakv-snapkv", "layer-defensive", "question-global"]) {
      const { reader } = await run(tokens(420), { policy, slots: 64, chunkTokens: 64 });
      const { cache } = reader, perSlot = cache.bytes / (cache.heads * cache.capacity);
      const buffers = cache.keys.byteLength + cache.values.byteLength + cache.source.byteLength +
        cache.position.byteLength;
      assert.equal(cache.capacity, 64 + 64 + RESERVE);
      assert.equal(buffers, cache.heads * cache.capacity * (perSlot - 4 * attributesOf(policy)), policy);
      seen[policy] = { bytes: buffers, live: new Set(cache.live) };
    }
    for (const [policy, { bytes, live }] of Object.entries(seen)) {
      assert.equal(bytes, seen["snapkv"]!.bytes, policy);
      assert.equal(live.size === 1, policy === "snapkv", `${policy}: heads of ${[...live].join(", ")} slots`);
    }
  });

  const attributesOf = (policy: string) => numbersOf(attributesFor(parsePolicy(policy), engines.rich.engine.packs));

  const wholes = new Map<number, number[]>();
  EVICTING.forEach((policy, turn) => {
    test(`a document up to the budget gives the same tokens as full (${policy})`, async () => {
      const slots = 120;
      for (const length of [60, 120]) {
        const document = tokens(length, length);
        let asked = wholes.get(length);
        if (!asked) {
          ({ written: asked } = await run(document, { policy: "full", slots, chunkTokens: 300 }));
          wholes.set(length, asked);
        }
        for (const [i, chunkTokens] of sizesOf(turn, 2).entries()) {
          const positions = (["auto", "original", "compact"] as const)[(turn + i) % 3]!;
          const { reader, written } = await run(document, { policy, slots, chunkTokens, positions });
          assert.deepEqual(written, asked, `${policy}, ${length} tokens in chunks of ${chunkTokens}, ${positions}`);
          assert.equal(reader.compactions, 0);
        }
      }
      const { reader } = await run(tokens(121), { policy, slots, chunkTokens: 121 });
      assert.equal(reader.compactions, 1, "one token more is compacted");
      assert.equal(reader.evicted, 1);
    });
  });

  EVICTING.forEach((policy, turn) => {
    test(`two runs are equal, however the document arrives (${policy})`, async () => {
      const [chunkTokens = 33] = sizesOf(2 + turn % 3, 1), slots = slotsOf(policy);
      const [a, b] = [
        await run(tokens(200, 5), { policy, slots, chunkTokens, positions: "compact", split: turn }),
        await run(tokens(200, 5), { policy, slots, chunkTokens, positions: "compact", split: turn + 1000 }),
      ];
      assert.deepEqual(a.written, b.written);
      assert.deepEqual(a.reader.cache.source, b.reader.cache.source);
      assert.deepEqual(a.reader.cache.keys, b.reader.cache.keys);
    });
  });

  test("question and snapkv keep the slots that a plain reference would keep", async () => {
    const document = tokens(220, 8), slots = 90, n = document.length;
    const reference = await ReferenceLlama.load(engines.plain.model);
    const whole = reference.forward(new KvCache(reference.config, 1), document, 0);
    const cache = new KvCache(reference.config, n);
    const flat = (heads: Float64Array[][]) => heads.map((rows) => Float32Array.from(rows.flatMap((row) => [...row])));
    cache.append(flat(whole.keys), flat(whole.values), n, 0, 0);
    const asked = referenceMass(reference.forward(cache, QUESTION, n), QUESTION.length, "max");
    const neighbours = (row: Float64Array, slot: number, radius: number) =>
      Array.from({ length: 2 * radius + 1 }, (_, i) => row.subarray(0, n)[slot - radius + i] ?? 0);
    const scores = {
      question: asked.map((row) => Array.from({ length: n }, (_, slot) => Math.max(...neighbours(row, slot, 10)))),
      snapkv: referenceMass(whole, 64, "mean").map((row) =>
        Array.from({ length: n }, (_, slot) => neighbours(row, slot, 2).reduce((a, b) => a + b) / 5)
      ),
    };
    for (const policy of ["question", "snapkv"] as const) {
      await run(document, {
        policy,
        slots,
        chunkTokens: n,
        look: (reader) =>
          scores[policy].forEach((row, head) => {
            const rank = row.map((score, slot) => slot < SINKS || slot >= n - RECENT ? Infinity : Math.fround(score));
            const best = [...row.keys()].sort((a, b) => rank[a] === rank[b] ? a - b : rank[b]! - rank[a]!).slice(
              0,
              slots,
            );
            assert.deepEqual(attribute(reader, "source", head), best.sort((a, b) => a - b), `${policy}, head ${head}`);
          }),
      });
    }
  });

  test("streaming keeps the sinks and the newest slots", async () => {
    await run(tokens(300), {
      policy: "streaming",
      slots: 64,
      chunkTokens: 33,
      look(reader) {
        if (reader.compactions === 0) return;
        const newest = Array.from({ length: 60 }, (_, i) => reader.tokensRead - 60 + i);
        for (let head = 0; head < reader.cache.heads; head++) {
          assert.deepEqual(attribute(reader, "source", head), [0, 1, 2, 3, ...newest]);
        }
      },
    });
  });

  test("full never compacts, and its record stays clean", async () => {
    const { reader } = await run(tokens(200), { policy: "full", slots: 200, chunkTokens: 64 });
    assert.deepEqual([reader.compactions, reader.evicted, reader.policyMs], [0, 0, 0]);
  });

  EVICTING.forEach((policy, turn) => {
    test(`auto keeps original positions until the trained ones would not hold the next chunk and the reserve, then compacts for good (${policy})`, async () => {
      const chunkTokens = [7, 33, 64][turn % 3]!, slots = slotsOf(policy);
      const trained = 250, passes: Pass[] = [], inner = engineFor(policy);
      const engine: Engine = {
        ...inner,
        config: { ...inner.config, trainedPositions: trained },
        device: inner.device,
        pass: (cache, pass) => {
          passes.push(pass);
          return inner.pass(cache, pass);
        },
        dense: (name, write) => inner.dense(name, write),
        close: () => inner.close(),
      };
      const seen: string[] = [];
      let wasOriginal = 0;
      const { reader } = await run(tokens(chunkTokens === 7 ? 300 : 500), {
        policy,
        slots,
        chunkTokens,
        positions: "auto",
        engine,
        look(reader) {
          seen.push(reader.positions);
          if (reader.positions === "original") {
            wasOriginal = reader.nextPosition;
            assert.equal(reader.nextPosition, reader.tokensRead);
          } else assert.equal(reader.nextPosition, Math.max(...reader.cache.live));
        },
      });
      assert.ok(wasOriginal + chunkTokens + RESERVE <= trained, "left in time");
      assert.ok(wasOriginal + 2 * chunkTokens + RESERVE > trained, "and not too early");
      assert.deepEqual([...new Set(seen)], ["original", "compact"], "switched once");
      for (const { firstPosition, tokens } of passes) assert.ok(firstPosition + tokens.length <= trained);
      assert.ok(reader.nextPosition <= trained);
    });
  });

  test("the probe leaves nothing behind: question tokens are not in the cache before they are written", async () => {
    await run(tokens(200), {
      policy: "question",
      slots: 64,
      chunkTokens: 64,
      look: (reader) => {
        const newest = attribute(reader, "source", 0).at(-1);
        assert.equal(newest, reader.tokensRead - 1);
      },
    });
  });

  for (const spec of ["question-quote", "probe=none,aggregate=none,allocate=uniform,recall=quote"]) {
    test(`recall under ${spec}: passages are the document's own tokens, none before something was evicted, and the cache stays as it is`, async () => {
      const document = tokens(500, 3), seen: (number | null)[] = [];
      const { reader } = await run(document, {
        policy: spec,
        slots: 96,
        chunkTokens: 50,
        look: (reader) => seen.push(reader.compactions === 0 ? reader.cache.live[0]! : null),
      });
      assert.ok(seen.some((live) => live !== null), "some chunks fit");
      const before = [reader.cache.live.slice(), reader.nextPosition, reader.tokensRead];
      const passages = await reader.recall(QUESTION, { first: 10, end: reader.tokensRead });
      assert.deepEqual([reader.cache.live, reader.nextPosition, reader.tokensRead], before);
      assert.ok(passages.length > 0);
      for (const { from, tokens: quoted } of passages.flatMap(({ pieces }) => pieces)) {
        assert.ok(from >= 10, "nothing of the prompt's head");
        const known = [...document, ...QUESTION];
        quoted.forEach((token, i) => from + i < known.length && assert.equal(token, known[from + i]));
      }
      const short = await run(document.slice(0, 80), { policy: spec, slots: 96, chunkTokens: 50 });
      assert.deepEqual(await short.reader.recall(QUESTION, { first: 10, end: short.reader.tokensRead }), []);
    });
  }

  test("a policy that keeps more than the budget is caught", async () => {
    const policy = parsePolicy("streaming"), budget = budgetOf("streaming", 64, 50);
    policy.allocate.quotas = (scores, { budget }) => new Int32Array(scores.length).fill(budget + 1);
    const options = {
      budget,
      chunkTokens: 50,
      reserve: RESERVE,
      positions: "original",
      questionTokens: QUESTION,
      answerTokens: ANSWER,
      tokenizer: fakeTokenizer,
    } as const;
    const reader = new Reader(engineFor("streaming"), policy, options);
    await reader.read(tokens(50));
    await assert.rejects(reader.read(tokens(50)), /streaming kept 65 slots of a budget of 64/);
  });
});
