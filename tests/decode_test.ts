import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { resolveBudget } from "../core/budget.ts";
import { KvCache } from "../core/cache.ts";
import { DECODE_BLOCK } from "../core/decode/evict.ts";
import { moment } from "../core/decode/moment.ts";
import { likeliest } from "../core/decode/write.ts";
import { redundancy, rkv } from "../core/decode/rkv.ts";
import { DEFAULT_DECODE_BUDGET, writingRoom } from "../core/decode/room.ts";
import type { Engine, Pass } from "../core/engine/engine.ts";
import { BudgetError, UsageError } from "../core/errors.ts";
import { parsePolicy } from "../core/policies.ts";
import type { DecodePolicy, Policy } from "../core/policy.ts";
import { Reader, type ReaderOptions } from "../core/reader.ts";
import { stages } from "../core/stages.ts";
import { difference, fakeTokenizer, openTiny, tokens } from "./tiny_llama.ts";

const PROMPT = tokens(50, 3);
const WRITTEN = tokens(130, 4);
const BUDGET = 24;
const EVICTING = Object.keys(stages.decode).filter((name) => name !== "keep");
/** Those that score a layer, not a head. */
const PER_LAYER = ["recency", "tova", "moment", "moment-recent"];

// opened here, not below: Deno does not wait for an asynchronous describe, and would run nothing of it
const tiny = await openTiny({ features: { newestMass: true, mass: ["mean"] } });

function policyOf(decode: string | DecodePolicy): Policy {
  const policy = parsePolicy(`probe=none,aggregate=none,decode=${typeof decode === "string" ? decode : decode.name}`);
  return typeof decode === "string" ? policy : { ...policy, decode };
}

interface Run {
  decode: string | DecodePolicy;
  decodeBudget?: number;
  decodeBlock?: number;
  positions?: ReaderOptions["positions"];
  engine?: Engine;
  prompt?: number[];
  written?: number[];
  /** Tokens that there must be room for. */
  room?: number;
  /** After every written token. */
  look?: (reader: Reader, step: number) => void;
}

/** Reads the prompt, writes the tokens as given and collects the logits. */
async function run(
  {
    decode,
    decodeBudget = BUDGET,
    decodeBlock = DECODE_BLOCK,
    positions = "original",
    engine = tiny.engine,
    prompt = PROMPT,
    written = WRITTEN,
    room = written.length,
    look,
  }: Run,
) {
  const policy = policyOf(decode);
  const reserve = Math.min(room, policy.decode.evicts ? decodeBudget + decodeBlock : Infinity);
  const budget = resolveBudget({
    config: engine.config,
    policy,
    request: { slots: Math.max(50, prompt.length) },
    chunkTokens: prompt.length,
    reserve,
    unboundedPositions: true,
    availableBytes: 1e9,
  });
  const options = { budget, chunkTokens: prompt.length, reserve, positions, decodeBudget, decodeBlock };
  const reader = new Reader(engine, policy, {
    ...options,
    tokenizer: fakeTokenizer,
    questionTokens: [],
    answerTokens: [],
  });
  await reader.read(prompt.slice(0, -1));
  const logits = [await reader.write(prompt.slice(-1))];
  for (const [step, token] of written.entries()) {
    logits.push(await reader.next(token));
    look?.(reader, step);
  }
  return { reader, logits };
}

const sourcesOf = ({ cache }: Reader, head: number) => [...cache.sources(head)];
const writtenOf = (reader: Reader, head: number, prompt = PROMPT.length) => sourcesOf(reader, head).slice(prompt);

describe("decode policies", () => {
  after(() => tiny.close());

  for (const decode of EVICTING) {
    test(`${decode}: the budget holds after every eviction, the block beyond it never; what was read and the memory stay`, async () => {
      for (const decodeBlock of [1, 5, DECODE_BLOCK]) {
        const what = `${decode}, blocks of ${decodeBlock}`;
        let pool: ArrayBufferLike | null = null, read: Float32Array | null = null, evictions = 0, expected = 0;
        const { reader } = await run({
          decode,
          decodeBlock,
          look(reader, step) {
            const { cache } = reader, { headDim } = cache.shape;
            expected = ++expected === BUDGET + decodeBlock ? BUDGET : expected;
            evictions += Number(expected === BUDGET && step >= BUDGET);
            pool ??= cache.keys.buffer;
            assert.equal(cache.keys.buffer, pool, what);
            assert.equal(cache.bytes, reader.options.budget.bytes, what);
            assert.ok(cache.peakLive <= cache.capacity, what);
            read ??= cache.keyRows(1).slice(0, PROMPT.length * headDim);
            assert.deepEqual(cache.keyRows(1).subarray(0, PROMPT.length * headDim), read, `the prompt's rows: ${what}`);
            for (let head = 0; head < cache.heads; head++) {
              const sources = sourcesOf(reader, head);
              assert.equal(sources.length, PROMPT.length + expected, `live slots: ${what}`);
              assert.deepEqual(sources.slice(0, PROMPT.length), [...PROMPT.keys()], `the prompt: ${what}`);
              assert.ok(sources.every((source, i) => i === 0 || source > sources[i - 1]!), `order: ${what}`);
              assert.deepEqual(
                [...cache.position.subarray(cache.start[head]!, cache.start[head]! + sources.length)],
                sources,
              );
              if (!PER_LAYER.includes(decode) || head % cache.shape.kvHeads === 0) continue;
              assert.deepEqual(sources, sourcesOf(reader, head - 1), `heads of a layer: ${what}`);
            }
          },
        });
        assert.ok(evictions >= 5, what);
        assert.equal(reader.evictedWritten, WRITTEN.length - expected, `what is missing was counted: ${what}`);
        assert.equal(reader.evicted, 0, "and not as read");
        assert.equal(reader.cache.capacity, reader.options.budget.slots + PROMPT.length + BUDGET + decodeBlock, what);
      }
    });

    test(`${decode}: what fits into its budget is written as by keep, and evicted tokens change the logits`, async () => {
      const { logits: asked } = await run({ decode: "keep" });
      const { reader, logits } = await run({ decode, decodeBudget: WRITTEN.length });
      assert.deepEqual(logits, asked);
      assert.equal(reader.evictedWritten, 0);
      const small = await run({ decode });
      assert.deepEqual(small.logits.slice(0, BUDGET + DECODE_BLOCK + 1), asked.slice(0, BUDGET + DECODE_BLOCK + 1));
      assert.ok(difference(small.logits.at(-1)!, asked.at(-1)!) > 1e-3);
    });

    test(`${decode}: two runs are equal`, async () => {
      const [a, b] = [await run({ decode }), await run({ decode })];
      assert.deepEqual(a.logits, b.logits);
      assert.deepEqual(a.reader.cache.source, b.reader.cache.source);
    });

    test(`${decode}: under auto an output far beyond the trained positions never passes them`, async () => {
      const trained = 120, passes: Pass[] = [], inner = tiny.engine;
      const engine: Engine = {
        ...inner,
        config: { ...inner.config, trainedPositions: trained },
        device: inner.device,
        features: inner.features,
        pass: (cache, pass) => (passes.push(pass), inner.pass(cache, pass)),
      };
      const seen: string[] = [];
      let longest = 0;
      const { reader } = await run({
        decode,
        engine,
        positions: "auto",
        written: tokens(600, 9),
        look(reader) {
          seen.push(reader.positions);
          if (reader.positions === "original") longest = reader.nextPosition;
          assert.ok(reader.nextPosition <= trained);
        },
      });
      for (const { firstPosition, tokens } of passes) assert.ok(firstPosition + tokens.length <= trained);
      assert.deepEqual([...new Set(seen)], ["original", "compact"]);
      assert.ok(longest + DECODE_BLOCK > trained - DECODE_BLOCK, `original positions as long as they last: ${longest}`);
      assert.equal(reader.evictedWritten % DECODE_BLOCK, 0);
      const { cache } = reader;
      for (let head = 0; head < cache.heads; head++) {
        const live = cache.live[head]!,
          positions = cache.position.subarray(cache.start[head]!, cache.start[head]! + live);
        assert.deepEqual([...positions], [...Array(live).keys()], "compact positions follow one another");
      }
    });
  }

  test("keep holds everything", async () => {
    const { reader } = await run({ decode: "keep" });
    assert.equal(reader.evictedWritten, 0);
    assert.equal(reader.cache.meanLive, PROMPT.length + WRITTEN.length);
  });

  /** Attention of every written token to the written slots, [step][head][slot], by the full cache and the graph's mean over all slots. */
  async function attention(written: number[]): Promise<Float32Array[][]> {
    const { engine } = tiny, cache = new KvCache(engine.config, PROMPT.length + written.length);
    const rows: Float32Array[][] = [];
    for (const [at, token] of [...PROMPT, ...written].entries()) {
      const result = await engine.pass(cache, { tokens: [token], firstPosition: at, scoreRows: 1 });
      cache.append(result.keys, result.values, 1, at, at);
      if (at >= PROMPT.length) rows.push(result.mass!.mean!.map((row) => row.slice(PROMPT.length)));
    }
    return rows;
  }

  /** Σ decay^(steps - 1 - t) · row t, over the rows from `from` on. */
  function summed(rows: Float32Array[][], head: number, decay: number, from = 0): Float64Array {
    const sum = new Float64Array(rows.length);
    rows.forEach((heads, step) => {
      for (let slot = 0; slot < sum.length; slot++) {
        sum[slot] = sum[slot]! * decay + (step >= from ? heads[head]![slot] ?? 0 : 0);
      }
    });
    return sum;
  }

  const layerMean = (rows: Float32Array[][], kvHeads: number) =>
    rows.map((heads) =>
      heads.map((row, head) => {
        const first = head - head % kvHeads, own = heads.slice(first, first + kvHeads);
        return row.map((_, slot) => own.reduce((sum, other) => sum + other[slot]!, 0) / kvHeads);
      })
    );

  /** Sources of the `count` highest, those of `always` first. */
  function best(scores: ArrayLike<number>, count: number, always: (slot: number) => boolean = () => false): number[] {
    const rank = Array.from(scores, (score, slot) => always(slot) ? Infinity : Math.fround(score));
    return [...rank.keys()].sort((a, b) => rank[a] === rank[b] ? a - b : rank[b]! - rank[a]!).slice(0, count)
      .sort((a, b) => a - b).map((slot) => PROMPT.length + slot);
  }

  const once = WRITTEN.slice(0, BUDGET + DECODE_BLOCK), n = once.length;

  test("moment with α = 1 is the accumulated attention, with less it fades", async () => {
    const { kvHeads } = tiny.engine.config, rows = layerMean(await attention(once.slice(0, -1)), kvHeads);
    for (const decay of [1, 0.9]) {
      const { reader } = await run({ decode: moment(decay), written: once.slice(0, -1) });
      for (let head = 0; head < reader.cache.heads; head++) {
        const got = reader.cache.attribute("momentum", head).subarray(PROMPT.length);
        assert.ok(difference(got, summed(rows, head, decay)) < 1e-5, `α ${decay}, head ${head}`);
      }
    }
  });

  test("the first eviction of every policy keeps what a plain reference keeps", async () => {
    const { config } = tiny.engine, rows = await attention(once), mean = layerMean(rows, config.kvHeads);
    const newestHalf = (slot: number) => slot >= n - BUDGET / 2;
    const asked: Record<string, (head: number) => number[]> = {
      recency: () => best([...once.keys()], BUDGET),
      h2o: (head) => best(summed(rows, head, 1), BUDGET, newestHalf),
      tova: (head) => best(mean.at(-1)![head]!, BUDGET),
      moment: (head) => best(summed(mean, head, 0.9), BUDGET),
      "moment-recent": (head) => best(summed(mean, head, 0.99), BUDGET, newestHalf),
    };
    for (const [decode, of] of Object.entries(asked)) {
      const { reader } = await run({ decode, written: once });
      for (let head = 0; head < reader.cache.heads; head++) {
        assert.deepEqual(writtenOf(reader, head), of(head), `${decode}, head ${head}`);
      }
    }
    assert.deepEqual([...Object.keys(asked), "rkv"].sort(), [...EVICTING].sort(), "a new policy belongs here");
  });

  test("rkv weighs attention against redundancy as its paper's code does", async () => {
    const { headDim } = tiny.engine.config, rows = await attention(once);
    const { reader: full } = await run({ decode: "keep", written: once });
    for (const lambda of [0.07, 0.9]) {
      const { reader } = await run({ decode: rkv(lambda), written: once });
      for (let head = 0; head < reader.cache.heads; head++) {
        const keys = full.cache.keyRows(head).subarray(PROMPT.length * headDim);
        const similar = plainRedundancy(keys, headDim), window = summed(rows, head, 1, n - 8).subarray(0, n - 8);
        const total = window.reduce((sum, mass) => sum + mass);
        const scores = similar.map((value, slot) => {
          const near = [...window.subarray(Math.max(0, slot - 3), slot + 4)];
          return lambda * Math.max(0, ...near) / total - (1 - lambda) * value;
        });
        assert.deepEqual(
          writtenOf(reader, head),
          best(scores, BUDGET, (slot) => slot >= n - 8),
          `λ ${lambda}, head ${head}`,
        );
      }
    }
  });

  test("redundancy of a key that comes three times: the newest is spared", () => {
    const rows = Float32Array.of(1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 1, 1, 0, 0), got = redundancy(rows, 3);
    assert.ok(difference(got, plainRedundancy(rows, 3)) < 1e-6);
    assert.ok(Math.abs(got.reduce((sum, value) => sum + value) - 1) < 1e-6);
    assert.ok(got[0]! > got[4]! && got[2]! > got[4]!, `${got}`);
  });

  function plainRedundancy(rows: Float32Array, headDim: number): number[] {
    const keys = Array.from(
      { length: rows.length / headDim },
      (_, i) => [...rows.subarray(i * headDim, (i + 1) * headDim)],
    );
    const dot = (a: number[], b: number[]) => a.reduce((sum, value, d) => sum + value * b[d]!, 0);
    const cosine = keys.map((a, i) => keys.map((b, j) => i === j ? 0 : dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b))));
    for (const row of cosine) {
      const last = row.findLastIndex((value) => value > 0.5);
      if (last >= 0) row[last] = 0;
    }
    const powers = keys.map((_, j) => Math.exp(cosine.reduce((sum, row) => sum + row[j]!, 0) / keys.length));
    const total = powers.reduce((sum, value) => sum + value);
    return powers.map((value) => value / total);
  }

  for (const decode of ["keep", ...EVICTING]) {
    test(`${decode}: a text that is known already is followed as if it were being written`, async () => {
      for (const [decodeBudget, decodeBlock] of [[24, 16], [24, 3], [24, 90], [16, 1]] as const) {
        const what = `${decode}, ${decodeBudget} slots, blocks of ${decodeBlock}`;
        const wanted = await run({ decode, decodeBudget, decodeBlock });
        const { reader } = await run({ decode, decodeBudget, decodeBlock, written: [], room: WRITTEN.length });
        const { vocab } = tiny.engine.config, logits: Float32Array[] = [];
        for (const [from, to] of [[0, 1], [1, 41], [41, 130]] as const) {
          const rows = await reader.follow(WRITTEN.slice(from, to));
          for (let row = 0; row < to - from; row++) logits.push(rows.slice(row * vocab, (row + 1) * vocab));
        }
        for (const [step, row] of logits.entries()) {
          assert.ok(difference(row, wanted.logits[step + 1]!) < 1e-3, `token ${step}: ${what}`);
        }
        for (let head = 0; head < reader.cache.heads; head++) {
          assert.deepEqual(sourcesOf(reader, head), sourcesOf(wanted.reader, head), `head ${head}: ${what}`);
        }
        assert.equal(reader.evictedWritten, wanted.reader.evictedWritten);
      }
    });
  }

  test("nothing is evicted on the side: after a note the cache is as it was", async () => {
    const { reader } = await run({ decode: "moment", written: [] }), before = reader.cache.keys.slice();
    const live = reader.cache.live.slice(), start = reader.cache.start.slice();
    await reader.aside(20, async () => {
      await reader.write([7]);
      for (const token of WRITTEN.slice(0, BUDGET + DECODE_BLOCK + 5)) await reader.next(token);
    });
    assert.equal(reader.evictedWritten, 0);
    assert.deepEqual([reader.cache.live, reader.cache.start], [live, start]);
    for (let head = 0; head < reader.cache.heads; head++) {
      const from = start[head]! * reader.cache.shape.headDim, rows = PROMPT.length * reader.cache.shape.headDim;
      assert.deepEqual(reader.cache.keys.subarray(from, from + rows), before.subarray(from, from + rows));
    }
  });
});

describe("room for what is written", () => {
  const evicting = policyOf("moment"), keeping = policyOf("keep");

  test("a decode budget bounds it, and its block comes on top; what is shorter needs no eviction", () => {
    const most = 100 + DECODE_BLOCK;
    assert.deepEqual(writingRoom(evicting, { maxTokens: 5000, decodeBudget: 100 }), { budget: 100, slots: most });
    assert.deepEqual(writingRoom(evicting, { maxTokens: most, decodeBudget: 100 }), { budget: Infinity, slots: most });
    assert.deepEqual(writingRoom(evicting, { maxTokens: most + 1, decodeBudget: 100 }), { budget: 100, slots: most });
    assert.equal(writingRoom(evicting, { maxTokens: 1e9 }).budget, DEFAULT_DECODE_BUDGET);
    assert.deepEqual(writingRoom(keeping, { maxTokens: 5000 }), { budget: Infinity, slots: 5000 });
  });

  test("a note is kept whole, also when it is longer than the decode budget", () => {
    const room = writingRoom(evicting, { maxTokens: 5000, decodeBudget: 16, noteTokens: 56 });
    assert.deepEqual(room, { budget: 16, slots: 56 });
  });

  test("budgets that are no number of tokens, or that the policy would not keep, are refused in words", () => {
    for (const decodeBudget of [0, 15, -1, 2.5, NaN, Infinity]) {
      const refuse = () => writingRoom(evicting, { maxTokens: 5000, decodeBudget });
      assert.throws(refuse, (error) => error instanceof UsageError && error.message.includes(`${decodeBudget}`));
    }
    assert.throws(() => writingRoom(keeping, { maxTokens: 256, decodeBudget: 64 }), /moment.*--max-tokens 64/);
    assert.deepEqual(writingRoom(keeping, { maxTokens: 64, decodeBudget: 64 }), { budget: Infinity, slots: 64 });
  });

  test("a decode budget that leaves the document no positions is refused with one that works", () => {
    const trained = tiny.engine.config.trainedPositions;
    const resolve = (decodeBudget: number) =>
      resolveBudget({
        config: tiny.engine.config,
        policy: evicting,
        request: null,
        chunkTokens: 32,
        reserve: 10 + decodeBudget + DECODE_BLOCK,
        decodeBudget,
        unboundedPositions: false,
        availableBytes: 1e9,
      });
    let told = "";
    try {
      resolve(trained);
    } catch (error) {
      assert.ok(error instanceof BudgetError);
      told = error.message;
    }
    const most = Number(/leaves (\d+)/.exec(told)?.[1]);
    assert.ok(most > 0, told);
    assert.ok(resolve(most).capacity <= trained);
    assert.throws(() => resolve(most + 1), BudgetError);
  });
});

test("likeliest: the first of the largest; logits that are no numbers are the model's fault, and no token", () => {
  assert.equal(likeliest(Float32Array.of(-3, 2, 2, -1e38)), 1);
  for (const bad of [NaN, Infinity, -Infinity]) {
    const message = new RegExp(`it computes ${bad} where numbers are needed`);
    assert.throws(() => likeliest(Float32Array.of(1, bad, 0)), { name: "ModelError", message });
  }
});
