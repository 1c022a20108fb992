/**
 * `npm run tokenizers -- --python <python with tokenizers and transformers>`: our ids of 5 MB of nasty text for every family of vocabularies, from
 * tokenizer.json and from GGUF metadata, beside those of Hugging Face's tokenizers (Rust) and of `@huggingface/tokenizers`; decoding, streaming, chat
 * templates and times. Exit code 1 when one id differs.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import process from "node:process";
import { parseArgs } from "node:util";
import { normalizerOf } from "../core/text/normalizer.ts";
import { renderPrompt } from "../core/text/prompt.ts";
import { pieceBytes } from "../core/text/text_stream.ts";
import { type Tokenizer, tokenizerFromGguf, tokenizerFromJson } from "../core/text/tokenizer.ts";
import { ggufMetadata } from "../tests/tokenizer_metadata.ts";
import { corpus } from "./tokenizers/corpus.ts";
import { families, type Family } from "./tokenizers/families.ts";
import { type Files, filesOf, installPackages } from "./tokenizers/packages.ts";
import { reference } from "./tokenizers/reference.ts";

const { values } = parseArgs({
  options: {
    python: { type: "string", default: "python3" },
    families: { type: "string", default: Object.keys(families).join(",") },
    // A quicker look: no second reference.
    "one-reference": { type: "boolean", default: false },
  },
});
const rust = reference(values.python);
let wrong = 0;

installPackages();
try {
  for (const name of values.families.split(",")) {
    const family = families[name];
    if (!family) throw new Error(`no family ${name}: there are ${Object.keys(families).join(", ")}`);
    compare(name, family);
  }
} finally {
  rust.close();
}
console.log(wrong === 0 ? "every id is equal" : `${wrong} differences`);
process.exitCode = wrong === 0 ? 0 : 1;

function compare(name: string, family: Family): void {
  const files = filesOf(family), { json, config, parts, documents } = files;
  const metadata = ggufMetadata(json, config, family.pre, family.spaceBefore);
  const [fromJson, jsonMs] = timed(() => tokenizerFromJson(json, config));
  const [fromGguf, ggufMs] = timed(() => tokenizerFromGguf(metadata));
  const added = new Set(parts.added.map(({ id }) => id));
  const spelled = parts.pieces.filter((piece, id) => piece && !added.has(id)).map((piece) =>
    new TextDecoder().decode(pieceBytes(piece!, parts.spelling)).replaceAll("\0", " ")
  );
  const kinds = corpus(spelled), texts = Object.values(kinds).flat();
  const bytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  console.log(`${name}: ${parts.pieces.length} pieces, ${texts.length} texts, ${(bytes / 1e6).toFixed(2)} MB`);

  const wanted = rust.ids(documents, texts);
  const given = family.spaceBefore ? texts.map((text) => text === "" ? "" : ` ${text}`) : texts;
  const encodeAll = (tokenizer: Tokenizer) => given.map((text) => tokenizer.encode(text, { control: false }));
  const [ours, encodeMs] = timed(() => encodeAll(fromJson));
  const tokens = wanted.reduce((sum, ids) => sum + ids.length, 0);
  report(`tokenizer.json and Rust's: ${tokens} ids`, kinds, ours, wanted);
  report("GGUF metadata and Rust's", kinds, encodeAll(fromGguf), wanted);
  if (!values["one-reference"]) {
    const library = new Library({ ...documents, post_processor: null }, {});
    const encode = (text: string) => library.encode(text, { add_special_tokens: false }).ids as number[];
    report("@huggingface/tokenizers and Rust's (no bar)", kinds, texts.map(encode), wanted, false);
  }
  // SentencePiece writes a space as "▁", and cannot tell the two apart afterwards.
  const written = (text: string) => family.pre === null ? text.replaceAll("▁", " ") : text;
  const form = family.form ? normalizerOf({ type: family.form }) : written;
  check(
    "decoding gives the text back, in whole characters",
    texts,
    (text, i) => decoded(fromJson, wanted[i]!) === form(text),
  );
  check("a text in pieces gives the same ids", given, (text, i) => sameIds(streamed(fromJson, text), wanted[i]!));
  templates(files, [fromJson, fromGguf]);
  console.log(`  built in ${jsonMs | 0} ms from JSON, ${ggufMs | 0} ms from GGUF; encoded in ${encodeMs | 0} ms`);
}

/** Text of ids that arrive one by one; null where a piece of it is no whole character. */
function decoded(tokenizer: Tokenizer, ids: readonly number[]): string | null {
  const stream = tokenizer.textStream();
  let text = "";
  for (const id of ids) {
    const piece = stream.push(id);
    if (!piece.isWellFormed()) return null;
    text += piece;
  }
  return text + stream.finish();
}

/** In pieces of 1 to 1,000 code units. */
function streamed(tokenizer: Tokenizer, text: string): number[] {
  const stream = tokenizer.stream(), ids: number[] = [];
  for (let at = 0, n = 0; at < text.length; n++) {
    const end = at + 1 + (n * 7919) % 1000;
    ids.push(...stream.push(text.slice(at, end)));
    at = end;
  }
  for (const id of stream.finish()) ids.push(id);
  return ids;
}

function sameIds(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((id, i) => id === b[i]);
}

function report(
  what: string,
  kinds: { [kind: string]: string[] },
  ids: number[][],
  wanted: number[][],
  bar = true,
): void {
  let at = 0, differing = 0;
  for (const [kind, texts] of Object.entries(kinds)) {
    let here = 0;
    for (const text of texts) {
      if (!sameIds(ids[at]!, wanted[at]!)) {
        if (here++ === 0) first(kind, text, ids[at]!, wanted[at]!);
      }
      at++;
    }
    differing += here;
  }
  if (bar) wrong += differing;
  console.log(`  ${what}: ${differing === 0 ? "equal" : `${differing} of ${at} texts differ`}`);
}

function first(kind: string, text: string, ids: number[], wanted: number[]): void {
  const at = ids.findIndex((id, i) => id !== wanted[i]);
  console.log(
    `    ${kind}: ${JSON.stringify(text.slice(0, 60))}, id ${at}: ${ids.slice(at, at + 8)} for ${
      wanted.slice(at, at + 8)
    }`,
  );
}

function check(what: string, texts: string[], holds: (text: string, i: number) => boolean): void {
  const failing = texts.filter((text, i) => !holds(text, i));
  wrong += failing.length;
  console.log(
    `  ${what}: ${
      failing.length === 0 ? "yes" : `not for ${failing.length}: ${JSON.stringify(failing[0]!.slice(0, 60))}`
    }`,
  );
}

function timed<T>(run: () => T): [T, number] {
  const started = performance.now();
  return [run(), performance.now() - started];
}

/** Prompts as transformers renders them, and their ids with control tokens. */
function templates({ folder, json, config }: Files, tokenizers: Tokenizer[]): void {
  if (!config.chat_template) return console.log("  no chat template");
  const system = "Be brief.", document = "Call me Ishmael.\n\n", instruction = "Who speaks?";
  const user = { role: "user", content: `${document}\n\n${instruction}` };
  const requests = [{ instruction }, { system, instruction }];
  const rendered = requests.map((request) =>
    rust.prompt(folder, [...("system" in request ? [{ role: "system", content: system }] : []), user])
  );
  const wanted = rust.ids(json, rendered);
  for (const tokenizer of tokenizers) {
    const prompts = requests.map((request) => renderPrompt(tokenizer, request)).map(({ head, tail }) =>
      head + document + tail
    );
    const same = prompts.every((prompt, i) => withoutDate(prompt) === withoutDate(rendered[i]!));
    const ids = rendered.every((prompt, i) => sameIds(tokenizer.encode(prompt, { control: true }), wanted[i]!));
    if (!same) console.log(`    ${JSON.stringify(prompts)} for ${JSON.stringify(rendered)}`);
    wrong += Number(!same) + Number(!ids);
    console.log(
      `  chat template: ${same ? "the same prompts" : "OTHER PROMPTS"}, ${ids ? "the same ids" : "OTHER IDS"}`,
    );
  }
}

/** Ours has a fixed date, so that answers are the same every day. */
function withoutDate(text: string): string {
  return text.replace(/\d\d \w{3} \d{4}/g, "DATE");
}
