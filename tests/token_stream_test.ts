import assert from "node:assert/strict";
import { test } from "node:test";
import { readText } from "../core/text/document.ts";
import { SEGMENT_LIMIT } from "../core/text/token_stream.ts";
import { type Tokenizer, tokenizerFromGguf } from "../core/text/tokenizer.ts";
import { NASTY_TEXTS, numbers, realTokenizer, SKIP_REAL, syntheticMetadata } from "./synthetic_tokenizer.ts";

/** Text without any place for a safe cut. */
const UNCUTTABLE = [
  "abcdefghij".repeat(1000),
  "a" + "🙂".repeat(5000),
  "天地玄黃宇宙洪荒".repeat(1200),
  " ".repeat(9000),
  "\r\n".repeat(5000),
  "x".repeat(SEGMENT_LIMIT - 1) + " y" + "z".repeat(SEGMENT_LIMIT) + "\nend",
  "x".repeat(SEGMENT_LIMIT),
  "x".repeat(SEGMENT_LIMIT + 1),
  "x".repeat(SEGMENT_LIMIT - 1) + "🙂",
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
    for await (const piece of readText(source, (message) => warnings.push(message))) ids.push(...stream.push(piece));
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

test("Tokenizer.stream: holds back one segment at most, in text without spaces", () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata());
  const stream = tokenizer.stream();
  let pushed = 0;
  let given = 0;
  for (let i = 0; i < 300; i++) {
    given += stream.push("abcdefg".repeat(10)).length; // no merges: one id per letter
    pushed += 70;
    assert.ok(pushed - given <= SEGMENT_LIMIT, `${pushed - given} held`);
  }
});

test("Tokenizer.encode: time grows linearly with the length of one word", () => {
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
