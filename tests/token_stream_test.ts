import assert from "node:assert/strict";
import { test } from "node:test";
import { readText } from "../core/text/document.ts";
import { SEGMENT_LIMIT, segmentStream } from "../core/text/token_stream.ts";
import { type Tokenizer, tokenizerFromGguf } from "../core/text/tokenizer.ts";
import { NASTY_TEXTS, numbers, realTokenizer, SKIP_REAL, syntheticMetadata } from "./synthetic_tokenizer.ts";

/** Text without any place for a safe cut. */
const UNCUTTABLE = [
  "abcdefghij".repeat(1000),
  "a" + "🙂".repeat(5000),
  "天地玄黃宇宙洪荒".repeat(1200),
  " ".repeat(9000),
  "\r\n".repeat(5000),
];

function split<T extends { length: number; slice(start: number, end: number): T }>(
  whole: T,
  most: number,
  number: (n: number) => number,
): T[] {
  const pieces: T[] = [];
  for (let at = 0; at < whole.length;) {
    const end = at + number(most + 1);
    pieces.push(whole.slice(at, end));
    at = end;
  }
  return pieces;
}

function streamed(tokenizer: Tokenizer, pieces: string[]): number[] {
  const stream = tokenizer.stream();
  return [...pieces.flatMap((piece) => stream.push(piece)), ...stream.finish()];
}

function checkStrings(tokenizer: Tokenizer, runs: number): void {
  const number = numbers(7);
  for (const text of [...NASTY_TEXTS, NASTY_TEXTS.join(" "), NASTY_TEXTS.join("\n"), NASTY_TEXTS.join("")]) {
    const whole = tokenizer.encode(text, { control: false });
    for (let run = 0; run < runs; run++) {
      assert.deepEqual(streamed(tokenizer, split(text, 1 + 3 * run, number)), whole, JSON.stringify(text.slice(0, 80)));
    }
  }
  for (const text of UNCUTTABLE) {
    const whole = tokenizer.encode(text, { control: false });
    for (const most of [1, 100, 5000]) {
      assert.deepEqual(streamed(tokenizer, split(text, most, number)), whole, `${text.slice(0, 20)} ${most}`);
    }
  }
}

for (const pre of ["smollm", "llama-bpe", "qwen2"]) {
  test(`Tokenizer.stream: any split of the text gives the ids of the whole (${pre})`, () => {
    checkStrings(tokenizerFromGguf(syntheticMetadata(pre)), 8);
  });
}

test("Tokenizer.stream: any split of the text gives the ids of the whole (SmolLM2)", { skip: SKIP_REAL }, async () => {
  checkStrings(await realTokenizer(), 8);
});

test("readText and Tokenizer.stream: any split of bytes, valid or not, gives the ids of the whole", async () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata());
  const number = numbers(11);
  const text = NASTY_TEXTS.join("\n").toWellFormed().replaceAll("\0", "") + "日本語🙂".repeat(1500);
  const bytes = new TextEncoder().encode(text);
  for (let i = 0; i < 200; i++) bytes[3 + number(bytes.length - 3)] = 0x80 + number(0x80);
  const whole = tokenizer.encode(new TextDecoder().decode(bytes), { control: false });
  for (const most of [1, 2, 7, 1000, 20000]) {
    const pieces = split(bytes, most, number);
    const warnings: string[] = [];
    const stream = tokenizer.stream();
    const ids: number[] = [];
    const source = {
      name: "nasty.txt",
      chunks: (async function* () {
        yield* pieces;
      })(),
    };
    for await (const piece of readText(source, (message) => warnings.push(message))) {
      ids.push(...stream.push(piece.text));
    }
    ids.push(...stream.finish());
    assert.deepEqual(ids, whole, `pieces of up to ${most} bytes`);
    assert.equal(warnings.length, 1);
  }
});

test("Tokenizer.stream: cuts are where no pattern matches across, so ids are those of the words", () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata());
  const stream = tokenizer.stream();
  const plain = (text: string) => tokenizer.encode(text, { control: false });
  assert.deepEqual(stream.push("the cat"), plain("the"));
  assert.deepEqual(stream.push(" "), plain(" cat"));
  assert.deepEqual(stream.push(" dog\n"), plain(""), "two spaces stand together with what follows");
  assert.deepEqual(stream.push("\n"), [], "a line feed may still join another");
  assert.deepEqual(stream.push("the end\nx"), plain("  dog\n\nthe").concat(plain(" end\n")));
  assert.deepEqual(stream.finish(), plain("x"));
  assert.deepEqual(stream.finish(), [], "a finished stream starts anew");
});

test("segmentStream: segments have SEGMENT_LIMIT code units at most and halve no character, however the text arrives", () => {
  const segments = (pieces: string[]) => {
    const found: string[] = [];
    const stream = segmentStream(
      { beforeSpace: () => true, afterLineFeed: true },
      (segment, ids) => void (found.push(segment), ids.push(segment.length)),
    );
    const ids = [...pieces.flatMap((piece) => stream.push(piece)), ...stream.finish()];
    assert.deepEqual(ids, found.map((segment) => segment.length));
    return found;
  };
  const L = SEGMENT_LIMIT, x = (length: number) => "x".repeat(length);
  assert.deepEqual(segments([x(L)]).map((s) => s.length), [L]);
  assert.deepEqual(segments([x(L + 1)]).map((s) => s.length), [L, 1]);
  assert.deepEqual(segments([x(L - 1) + "🙂"]).map((s) => s.length), [L - 1, 2]);
  assert.deepEqual(segments([x(L - 2) + "🙂x"]).map((s) => s.length), [L, 1]);
  const text = x(L - 1) + " y" + x(L) + "\nend" + "🙂".repeat(L), number = numbers(5);
  const whole = segments([text]);
  assert.equal(whole.join(""), text);
  for (const most of [3, 100, 50_000]) assert.deepEqual(segments(split(text, most, number)), whole);
});

test("Tokenizer.encode: a word of a million characters takes seconds, and its ids are those of the whole word", () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata()), pair = tokenizer.encode("xx", { control: false });
  assert.equal(pair.length, 1);
  // "xx" joins everywhere before anything else can, and no two of them join.
  const ids = tokenizer.encode("x".repeat(1_000_000), { control: false });
  assert.equal(ids.length, 500_000);
  assert.ok(ids.every((id) => id === pair[0]));
});

test("Tokenizer.encode: time grows in step with the length of one word", () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata());
  const time = (length: number) => {
    const start = performance.now();
    tokenizer.encode("x".repeat(length), { control: false });
    return performance.now() - start;
  };
  time(100_000);
  const short = time(100_000);
  // Quadratic would be a hundredfold.
  assert.ok(time(1_000_000) < 40 * Math.max(short, 20));
});
