import assert from "node:assert/strict";
import { test } from "node:test";
import { merger } from "../core/text/merge.ts";
import { listedPairs, NONE, type Pairs, scoredPairs } from "../core/text/pairs.ts";
import { unigram } from "../core/text/unigram.ts";
import { numbers } from "./synthetic_tokenizer.ts";

const PIECES = ["a", "b", "c", "ab", "bc", "abc", "aa", "aaa", "ca", "abab", "cab", "bb"];
const IDS = new Map(PIECES.map((piece, id) => [piece, id]));
const MERGES = ["a b", "b c", "a a", "aa a", "ab c", "c a", "a bc", "ab ab", "c ab", "b b", "a aa", "ca b"];

/** As the algorithm is told: of all pairs the one of the lowest rank, the leftmost of equals, until there is none. */
function plainly(pairs: Pairs, ids: number[]): number[] {
  while (true) {
    let best = -1, lowest = Infinity;
    for (let i = 0; i + 1 < ids.length; i++) {
      const at = pairs.find(ids[i]!, ids[i + 1]!);
      if (at !== NONE && pairs.rank(at) < lowest) [best, lowest] = [i, pairs.rank(at)];
    }
    if (best < 0) return ids;
    ids.splice(best, 2, pairs.joined(pairs.find(ids[best]!, ids[best + 1]!)));
  }
}

function merged(pairs: Pairs, ids: number[]): number[] {
  const working = Int32Array.from(ids);
  return [...working.subarray(0, merger(pairs)(working, ids.length))];
}

test("merger: joins as the definition says, with listed merges and with scores, words of any length", () => {
  const number = numbers(3);
  const scores = PIECES.map((_, id) => -(id * 7 % 5)); // with ties
  for (const pairs of [listedPairs(MERGES, PIECES, IDS), scoredPairs(scores, PIECES, IDS)]) {
    for (let run = 0; run < 300; run++) {
      const length = run < 290 ? number(40) : 5000 + number(500);
      const ids = Array.from({ length: run < 290 ? length : 400 }, () => number(30) === 0 ? NONE : number(3));
      assert.deepEqual(merged(pairs, [...ids]), plainly(pairs, [...ids]), ids.join());
    }
    const long = Array.from({ length: 6000 }, (_, i) => i % 7 === 0 ? 1 : 0);
    assert.deepEqual(merged(pairs, long).map((id) => PIECES[id]).join(""), long.map((id) => PIECES[id]).join(""));
  }
});

test("listedPairs: of two equal merges the first counts, and one that makes no piece is none", () => {
  const pairs = listedPairs(["b c", ["a", "b"], "b c", "c c", "b b"], PIECES, IDS);
  assert.equal(pairs.rank(pairs.find(1, 2)), 0);
  assert.equal(pairs.rank(pairs.find(0, 1)), 1);
  assert.equal(pairs.find(2, 2), NONE, "cc is no piece");
  assert.equal(pairs.find(0, 0), NONE, "not listed");
  assert.equal(pairs.joined(pairs.find(1, 1)), IDS.get("bb"));
});

test("unigram: finds the spelling with the largest sum, as trying all does", () => {
  const scores = [-1, -1.2, -2, -1.5, -3, -2.2, -1.7, -2.5, -4, -2, -2.6, -9];
  const spell = unigram(IDS, scores), number = numbers(9);
  const best = (word: string): number => {
    if (word === "") return 0;
    return Math.max(
      ...PIECES.map((piece, id) => word.startsWith(piece) ? scores[id]! + best(word.slice(piece.length)) : -Infinity),
    );
  };
  for (let run = 0; run < 200; run++) {
    const word = Array.from({ length: 1 + number(9) }, () => "abc"[number(3)]).join("");
    let sum = 0, spelled = "";
    spell(word, (id, start, end) => {
      sum += scores[id]!;
      spelled += word.slice(start, end);
      assert.equal(PIECES[id], word.slice(start, end));
    });
    assert.equal(spelled, word);
    assert.ok(Math.abs(sum - best(word)) < 1e-9, `${word}: ${sum} for ${best(word)}`);
  }
});

test("unigram: a character without a piece comes alone, whole, and with no id", () => {
  const found: [number, string][] = [], word = "a🙂é";
  unigram(IDS, PIECES.map(() => -1))(word, (id, start, end) => found.push([id, word.slice(start, end)]));
  assert.deepEqual(found, [[0, "a"], [NONE, "🙂"], [NONE, "é"]]);
});
