import assert from "node:assert/strict";
import { test } from "node:test";
import { normalizerOf } from "../core/text/normalizer.ts";
import { splitWithKnown } from "../core/text/unicode.ts";

test("normalizerOf: marks that are younger than the original's table stay where they stand and order nothing", () => {
  const nfc = normalizerOf({ type: "NFC" });
  assert.equal(nfc("e\u0301 a\u0301\u0327"), "é \u00e1\u0327");
  assert.equal(nfc("a\u0897\u0327"), "a\u0897\u0327", "Unicode 16 would put the cedilla first");
  assert.equal(nfc("\u{11382}\u{113c9}e\u0301"), "\u{11382}\u{113c9}é", "composed since Unicode 16");
  assert.equal(normalizerOf({ type: "NFKC" })("\u{1ccd6}\ufb01"), "\u{1ccd6}fi");
});

test("splitWithKnown: characters of Unicode 17 are of no class, in every engine, and stay in the text", () => {
  const split = (text: string) => text.match(/\p{Ll}+|\p{L}+|\p{M}+|\p{S}+|[^]/gu) ?? [];
  assert.deepEqual(splitWithKnown("ab\u{18d0b}c\u20c1\u1ad2\u0295d", split), [
    "ab",
    "\u{18d0b}",
    "c",
    "\u20c1",
    "\u1ad2",
    "\u0295d",
  ]);
  assert.deepEqual(splitWithKnown("abc $", split), ["abc", " ", "$"]);
  // Parts that are left out do not shift the others.
  assert.deepEqual(splitWithKnown("a\u{18d0b}b b", (text) => text.match(/b/g) ?? []), ["b", "b"]);
});
