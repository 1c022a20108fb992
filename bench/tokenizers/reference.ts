/** The original's ids and prompts: `reference.py` in a Python that has tokenizers and transformers. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface Message {
  role: string;
  content: string;
}

export interface Reference {
  /** Ids of each text by a tokenizer.json, without tokens that its post-processor would add. */
  ids(tokenizerJson: object, texts: readonly string[]): number[][];
  /** Messages as the template of a folder's tokenizer_config.json renders them, with thinking off. */
  prompt(folder: string, messages: Message[]): string;
  /** Removes its files. */
  close(): void;
}

/** @throws {Error} when called and `python` lacks the packages */
export function reference(python: string): Reference {
  const work = mkdtempSync(join(tmpdir(), "palimpsest-tokenizers-"));
  const [model, input, output] = ["model.json", "input.json", "output"].map((name) => join(work, name)) as [
    string,
    string,
    string,
  ];
  const run = (...words: string[]) => {
    const script = join(import.meta.dirname, "reference.py");
    const { status } = spawnSync(python, [script, ...words], { stdio: ["ignore", 2, 2] });
    if (status !== 0) throw new Error(`${python} could not run: it needs what bench/tokenizers/requirements.txt lists`);
    return readFileSync(output);
  };
  return {
    ids(tokenizerJson, texts) {
      writeFileSync(model, JSON.stringify({ ...tokenizerJson, post_processor: null }));
      writeFileSync(input, JSON.stringify(texts));
      const bytes = run("ids", model, input, output), lists: number[][] = [];
      const all = new Uint32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
      for (let at = 0; at < all.length; at += 1 + all[at]!) lists.push([...all.subarray(at + 1, at + 1 + all[at]!)]);
      return lists;
    },
    prompt(folder, messages) {
      writeFileSync(input, JSON.stringify([{ messages, variables: { enable_thinking: false } }]));
      return JSON.parse(run("templates", folder, input, output).toString())[0];
    },
    close: () => rmSync(work, { recursive: true, force: true }),
  };
}
