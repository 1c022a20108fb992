import assert from "node:assert/strict";
import { test } from "node:test";
import { Notes, tidy } from "../core/notes.ts";
import { loops } from "../core/decode/write.ts";

/** Reads `tokens` in chunks of 512 and takes a note whenever one is due. */
function take(tokens: number, wanted: number): { from: number; to: number }[] {
  const notes = new Notes(wanted, 1024);
  for (let read = 512;; read += 512) {
    const last = read >= tokens, to = Math.min(read, tokens);
    if (notes.due(to, last)) notes.add(to, `note of ${to}`);
    if (last) return notes.distinct();
  }
}

test("Notes: between N and 2 N of them, evenly spread, whatever the length", () => {
  for (const tokens of [16_000, 33_000, 100_000, 300_000, 1_000_000]) {
    const list = take(tokens, 8);
    assert.ok(list.length >= 8 && list.length < 16, `${list.length} notes of ${tokens} tokens`);
    const ends = list.map(({ to }) => to), gaps = ends.slice(1).map((to, i) => to - ends[i]!);
    assert.ok(Math.max(...gaps) <= 2 * Math.min(...gaps.slice(0, -1)) + 512, `gaps ${gaps}`);
    assert.ok(ends.at(-1)! > tokens * 0.85 && ends[0]! < tokens * 0.3);
  }
});

test("Notes: a short document gets one note, and the end closes a stretch that is half full", () => {
  assert.deepEqual(take(700, 8).map(({ to }) => to), [700]);
  assert.deepEqual(take(1024 + 400, 8).map(({ to }) => to), [1024]);
  assert.deepEqual(take(1024 + 600, 8).map(({ to }) => to), [1024, 1624]);
});

test("Notes: what was said already is left out", () => {
  const notes = new Notes(4, 10);
  notes.add(10, "A whale.");
  notes.add(20, "a  whale");
  notes.add(30, "");
  notes.add(40, "A ship.");
  assert.deepEqual(notes.distinct().map(({ text }) => text), ["A whale.", "A ship."]);
});

test("tidy: whole sentences, each once, on one line, without an empty list mark at the end", () => {
  assert.equal(tidy(" a whale. It swims. It swims. And th"), "A whale. It swims.");
  assert.equal(tidy("names:\n- Jonah\n- Jonah\n- Ahab\n-"), "Names: - Jonah - Ahab …");
  assert.equal(tidy("a sailor, who"), "A sailor, who …");
  assert.equal(tidy("  \n "), "");
});

test("loops: the same piece three times over and 24 tokens long, and nothing less", () => {
  const repeat = (piece: number[], times: number) => Array.from({ length: times }, () => piece).flat();
  assert.ok(loops([9, ...repeat([1, 2], 12)]));
  assert.ok(!loops(repeat([1, 2], 11)));
  assert.ok(!loops([1, 0, 0, 0, 0, 0, 0]), "1000000 is a number");
  const piece = Array.from({ length: 24 }, (_, i) => i);
  assert.ok(loops(repeat(piece, 3)));
  assert.ok(!loops([...repeat(piece, 2), ...piece.slice(0, 23), 99]));
});
