import assert from "node:assert/strict";
import { test } from "node:test";
import { chunks } from "../core/text/chunks.ts";
import { randomNumbers } from "./host.ts";

async function cut(pieces: number[][], size: number): Promise<number[][]> {
  const out: number[][] = [];
  async function* arriving() {
    yield* pieces;
  }
  let ended = false;
  for await (const { chunk, last } of chunks(arriving(), size)) {
    assert.ok(!ended, "nothing comes after the last chunk");
    ended = last;
    out.push(chunk);
  }
  assert.equal(ended, out.length > 0, "the last chunk says so");
  return out;
}

const counted = (count: number) => Array.from({ length: count }, (_, i) => i);

test("chunks: cut by count, whatever the pieces in which tokens arrive", async () => {
  const random = randomNumbers(1), all = counted(1000);
  for (const size of [1, 7, 100, 333, 999, 1000, 1001]) {
    const asked: number[][] = [];
    for (let from = 0; from < all.length; from += size) asked.push(all.slice(from, from + size));
    const pieces: number[][] = [];
    for (let from = 0; from < all.length;) {
      const length = random() < 0.2 ? 0 : Math.floor(random() ** 3 * 300);
      pieces.push(all.slice(from, from + length));
      from += length;
    }
    assert.deepEqual(await cut(pieces, size), asked, `size ${size}, in pieces`);
    assert.deepEqual(await cut([all], size), asked, `size ${size}, at once`);
    assert.deepEqual(await cut(all.map((token) => [token]), size), asked, `size ${size}, one by one`);
  }
});

test("chunks: nothing comes of nothing, and no empty chunk ends a full one", async () => {
  assert.deepEqual(await cut([], 4), []);
  assert.deepEqual(await cut([[], []], 4), []);
  assert.deepEqual(await cut([counted(8)], 4), [[0, 1, 2, 3], [4, 5, 6, 7]]);
});

test("chunks: a full chunk waits for one token more and no longer", async () => {
  let asked = 0;
  async function* endless() {
    while (true) yield [asked++];
  }
  const stream = chunks(endless(), 3);
  assert.deepEqual((await stream.next()).value, { chunk: [0, 1, 2], last: false });
  assert.equal(asked, 4);
  await stream.return(undefined);
});
