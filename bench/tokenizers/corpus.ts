/** Nasty texts, the same on every machine but for what ICU's version changes: at least `bytes` of UTF-8 in all. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mobyDick, random, stateOfTheUnion } from "../prose.ts";

const root = join(import.meta.dirname, "..", "..");

/** One kind of text after the other, each a list of texts. `pieces`: what the tokenizer's vocabulary spells. */
export function corpus(pieces: readonly string[]): { [kind: string]: string[] } {
  return {
    prose: [...paragraphs(mobyDick()), stateOfTheUnion(1991), stateOfTheUnion(1861)],
    code: code(),
    languages: languages(),
    pieces: ofPieces(pieces, 1_200_000),
    characters: everyCharacter(),
    "code points": ofCodePoints(400_000),
    "white space": ofCharacters(SPACES, 300_000),
    control: ofCharacters(CONTROLS, 150_000),
    emoji: ofCharacters(EMOJI, 300_000),
    "long words": longWords(),
    "invalid UTF-8": invalid(400_000),
  };
}

/** Texts of some thousand characters, so that what a text begins and ends with occurs often. */
function paragraphs(text: string): string[] {
  const texts: string[] = [];
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\n", at + 4000);
    texts.push(text.slice(at, end < 0 ? text.length : end));
    at = end < 0 ? text.length : end;
  }
  return texts;
}

function code(): string[] {
  const files = readdirSync(join(root, "core"), { recursive: true, encoding: "utf8" }).filter((f) => f.endsWith(".ts"));
  const own = files.sort().map((file) => readFileSync(join(root, "core", file), "utf8"));
  const dense = readFileSync(join(root, "node_modules", "onnxruntime-web", "dist", "ort.min.js"), "utf8");
  const notes = readFileSync(join(root, "README.md"), "utf8") + readFileSync(join(root, "package-lock.json"), "utf8");
  return [...own, dense, notes, own.join("\r\n").replaceAll("\n", "\r\n").slice(0, 200_000)];
}

const LOCALES =
  ("zh zh-Hant ja ko th lo km my vi ar fa he ur hi bn ta te ml kn gu pa mr ne si am ti ka hy el ru uk bg sr be kk mn ky tg " +
    "uz tr az fi hu et lv lt pl cs sk hr de fr es pt it ro nl sv da is ga cy eu sw zu yo ha so id fil mi haw bo dz chr yue")
    .split(" ");

/** Names of languages, regions, scripts and currencies, and dates, in many languages: what ICU knows. */
function languages(): string[] {
  const types = {
    language: LOCALES,
    region: regions(),
    script: ["Latn", "Hans", "Arab", "Deva", "Thai", "Cyrl", "Hang"],
  };
  return LOCALES.map((locale) => {
    const lines: string[] = [];
    for (const [type, codes] of Object.entries(types)) {
      const names = new Intl.DisplayNames(locale, { type: type as Intl.DisplayNamesType });
      lines.push(codes.map((c) => names.of(c) ?? c).join(lines.length % 2 ? "、" : ", "));
    }
    for (let day = 0; day < 120; day++) {
      const date = new Date(Date.UTC(2020, 0, 1 + 17 * day, day % 24, 7));
      lines.push(
        date.toLocaleString(locale, { dateStyle: "full", timeStyle: day % 2 ? "short" : "medium", timeZone: "UTC" }),
      );
      lines.push((day * 123456.789).toLocaleString(locale, { style: "currency", currency: day % 2 ? "EUR" : "JPY" }));
    }
    // The same without any space or line: what is written so in Chinese, Japanese and Thai.
    return lines.join("\n") + lines.join("").replaceAll(/\s/gu, "");
  });
}

function regions(): string[] {
  const letters = [..."ABCDEFGHIJKLMNOPQRSTUVWXYZ"];
  return letters.flatMap((a) => letters.map((b) => a + b)).filter((_, i) => i % 3 === 0);
}

/** What the vocabulary has, in random order: every merge is tried somewhere. */
function ofPieces(pieces: readonly string[], bytes: number): string[] {
  const number = numbers(1), texts: string[] = [];
  for (let size = 0; size < bytes;) {
    let text = "";
    const separators = ["", "", "", " ", "\n", "\t"][number(6)]!;
    for (let i = number(400); i >= 0; i--) text += pieces[number(pieces.length)] + separators;
    texts.push(text);
    size += Buffer.byteLength(text);
  }
  return texts;
}

/** Every code point of the planes that have characters beside others, between letters, digits and marks. */
function everyCharacter(): string[] {
  const texts: string[] = [];
  for (let from = 1; from < 0xe0200; from += 128) {
    if (from === 0x20001) from = 0x2ff01; // ideographs, all alike
    if (from === 0x32301) from = 0xe0001;
    let text = "";
    for (let code = from; code < from + 128; code++) {
      const character = code < 0xd800 || code > 0xdfff ? String.fromCodePoint(code) : "";
      text += `a${character}b1${character}.\u0327${character}\u0301 `;
    }
    texts.push(text);
  }
  return texts;
}

function ofCodePoints(bytes: number): string[] {
  const number = numbers(2), texts: string[] = [];
  for (let size = 0; size < bytes;) {
    let text = "";
    const most = [0x80, 0x250, 0x3000, 0xd800, 0x20000, 0x110000][number(6)]!;
    for (let i = number(300); i >= 0; i--) {
      const code = number(most);
      if (code !== 0 && (code < 0xd800 || code > 0xdfff)) text += String.fromCodePoint(code);
      if (number(5) === 0) text += " ";
    }
    texts.push(text);
    size += Buffer.byteLength(text);
  }
  return texts;
}

const SPACES = [
  ..." \t\n\r\v\f\u0085\u00a0\u1680\u2000\u2003\u2009\u200a\u200b\u2028\u2029\u202f\u205f\u3000\ufeff\u180e▁",
]
  .concat(["  ", "\n\n", "\r\n", "    ", "a", "Ab", "1", ".", "/", "'s", "'S", "'ſ", "é", "文", "\n/", " /", "▁▁"]);
const CONTROLS = Array.from({ length: 0x20 }, (_, c) => String.fromCharCode(c + 1))
  .concat([
    "\u007f",
    "\u0080",
    "\u009f",
    "\u00ad",
    "\u200d",
    "\u200e",
    "\u202e",
    "\u2066",
    "\ufff9",
    "\ufffd",
    "\uffff",
    "x",
    " ",
    "é",
    "e\u0301",
  ]);
const EMOJI = [
  ..."🙂😀🦄🫠🇫🇷🇯🇵👩🏽🚀👨👧🏳🌈❤✨0#*ab. \n",
  "\u200d",
  "\ufe0f",
  "\u20e3",
  "👩‍🚀",
  "🏳️‍🌈",
  "👨‍👩‍👧‍👦",
  "1️⃣",
  "\u{E0067}\u{E007F}",
  " 🙂",
  "𝒳",
  "𐍈",
  "ﬁ",
  "Å",
  "각",
  "한",
];

function ofCharacters(characters: readonly string[], bytes: number): string[] {
  const number = numbers(3), texts: string[] = [];
  for (let size = 0; size < bytes;) {
    let text = "";
    for (let i = number(600); i >= 0; i--) {
      text += characters[number(characters.length)]!.repeat(number(9) === 0 ? 1 + number(40) : 1);
    }
    texts.push(text);
    size += Buffer.byteLength(text);
  }
  return texts;
}

/** Nothing that could be cut, up to 200,000 characters. */
function longWords(): string[] {
  const number = numbers(4), letters = "etaoinshrdlucmfwypvbgkjqxz";
  const word = (alphabet: string, length: number) => {
    const characters = [...alphabet];
    return Array.from({ length }, () => characters[number(characters.length)]).join("");
  };
  return [
    "a".repeat(100_000),
    "ab".repeat(50_000),
    "the".repeat(60_000),
    word(letters, 200_000),
    word(letters.toUpperCase() + letters, 60_000),
    word("0123456789", 50_000),
    word("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", 100_000),
    word("天地玄黃宇宙洪荒日月盈昃辰宿列張寒來暑往秋收冬藏のはがをに、。", 60_000),
    word("กขคงจฉชซญฐดตถทธนบปผฝพฟภมยรลวศษสหอะาิีึืุู", 30_000),
    word("🙂😀🦄👩🏽‍🚀", 20_000),
    word("{}[]();,.<>=+-*/&|!?:\"'`~@#$%^_\\", 60_000),
    " ".repeat(50_000),
    "\n".repeat(20_000),
    "\t".repeat(20_000),
    "\r\n".repeat(10_000),
    " \n".repeat(10_000),
    "=".repeat(30_000) + "\n" + "-".repeat(30_000),
    "x".repeat(5000) + " " + "y".repeat(5000) + "\n" + "z".repeat(5000),
    "e" + "\u0301".repeat(3000) + "\u0300\u0316".repeat(2000),
  ];
}

/** Random bytes, and text with broken ones, as `readText` gives them. */
function invalid(bytes: number): string[] {
  const number = numbers(5), texts: string[] = [], prose = new TextEncoder().encode(languages().join("\n"));
  for (let size = 0; size < bytes;) {
    const length = 1 + number(3000), from = number(prose.length - length);
    const broken = number(4) === 0
      ? Uint8Array.from({ length }, () => 1 + number(255))
      : prose.slice(from, from + length);
    for (let i = number(60); i > 0; i--) broken[number(length)] = 1 + number(255);
    const text = new TextDecoder().decode(broken);
    texts.push(text);
    size += Buffer.byteLength(text);
  }
  return texts;
}

function numbers(seed: number): (n: number) => number {
  const next = random(seed);
  return (n) => Math.floor(next() * n);
}
