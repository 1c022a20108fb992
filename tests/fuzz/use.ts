/** What is done with a model that opened: everything is read that an answer would read, short of running it. */
import type { ModelFile } from "../../core/engine/weights.ts";
import { InputError } from "../../core/errors.ts";
import { readText } from "../../core/text/document.ts";
import { tokenizerOf } from "../../core/text/model_tokenizer.ts";
import { renderPrompt } from "../../core/text/prompt.ts";
import type { Tokenizer } from "../../core/text/tokenizer.ts";
import { Wrong } from "./kind.ts";
import type { Random } from "./random.ts";

export const TEXTS = [
  "The cat sat on the mat, 1234 times.\n\nIt didn't move  \t at all: £5 — naïve 日本語 🙂\r\n",
  "a".repeat(300) + "! " + "- ".repeat(60) + "\u0301\u00a0<|im_start|></s><table>\n\n",
];

export async function readAll(model: ModelFile): Promise<void> {
  for (const name of model.tensors.keys()) await model.tensor(name);
}

export async function useTokenizer(random: Random, model: ModelFile): Promise<void> {
  tryTokenizer(random, await tokenizerOf(model));
}

/** Texts to ids and back, a text in pieces, and the prompt. */
export function tryTokenizer(random: Random, tokenizer: Tokenizer): void {
  const text = random.pick(TEXTS);
  const ids = tokenizer.encode(text, { control: random.chance(0.5) });
  if (!ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize)) {
    throw new Wrong(`a text became ids that are none: ${ids.slice(0, 20)}`);
  }
  const stream = tokenizer.stream(), written = tokenizer.textStream(), at = random.below(text.length);
  const inPieces = [...stream.push(text.slice(0, at)), ...stream.push(text.slice(at)), ...stream.finish()];
  if (String(inPieces) !== String(tokenizer.encode(text, { control: false }))) {
    throw new Wrong(`a text in two pieces, cut at ${at}, became other ids than in one`);
  }
  for (const id of ids.slice(0, 100)) written.push(id);
  written.finish();
  const { head, tail } = renderPrompt(tokenizer, { system: "Be brief.", instruction: "Why?" });
  if (typeof head !== "string" || !tail.includes("Why?")) throw new Wrong("the prompt lacks the question");
  tokenizer.encode(head, { control: true });
}

/** A document that comes in pieces: its text and what was said of it, or why it is none. */
export async function readDocument(
  bytes: Uint8Array,
  size: number,
): Promise<{ text: string; refusal: InputError | null }> {
  const chunks = async function* () {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
  };
  let text = "", warned = "";
  try {
    const document = readText({ name: "d.txt", chunks: chunks() }, (message) => warned += message);
    for await (const piece of document) text += piece.text;
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return { text: error.message, refusal: error };
  }
  return { text: text + warned, refusal: null };
}
