import assert from "node:assert/strict";
import { test } from "node:test";
import { fuse } from "../core/cite.ts";
import type { RecalledPassage } from "../core/record.ts";

const passage = (text: string, source = "a.txt"): RecalledPassage => ({ at: 0, source, text });

test("fuse: the best of both in turns", () => {
  const words = ["walrus on ice", "parrot in a cage", "horse on a hill", "whale under water"];
  const [a, b, c, d] = words.map((text) => passage(text)) as [
    RecalledPassage,
    RecalledPassage,
    RecalledPassage,
    RecalledPassage,
  ];
  assert.deepEqual(fuse([a, b], [c, d]), [a, c, b, d]);
  assert.deepEqual(fuse([], [c, d]), [c, d]);
  assert.deepEqual(fuse([a, b], []), [a, b]);
});

test("fuse: what both have comes first, once, as the first has it", () => {
  const whole = passage("the keeper's parrot is called Bosco and it talks"), other = passage("a walrus came");
  const part = passage("parrot is called Bosco"), third = passage("horses stand on the hill");
  assert.deepEqual(fuse([other, whole], [part, third]), [whole, other, third]);
});

test("fuse: the same words in another document are another passage", () => {
  const one = passage("the parrot is called Bosco"), twin = passage("the parrot is called Bosco", "b.txt");
  assert.deepEqual(fuse([one], [twin]), [one, twin]);
});
