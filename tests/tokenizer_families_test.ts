import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { normalizerOf } from "../core/text/normalizer.ts";
import { renderPrompt } from "../core/text/prompt.ts";
import { type Tokenizer, tokenizerFromGguf, tokenizerFromJson } from "../core/text/tokenizer.ts";
import { ggufMetadata, unigramMetadata } from "./tokenizer_metadata.ts";

const folder = new URL("../fixtures/tokenizers/", import.meta.url);
const fixtures = readdirSync(folder).filter((file) => file.endsWith(".json")).map((file) =>
  JSON.parse(readFileSync(new URL(file, folder), "utf8"))
);

function decode(tokenizer: Tokenizer, ids: readonly number[]): string {
  const stream = tokenizer.textStream();
  return ids.map((id) => stream.push(id)).join("") + stream.finish();
}

/** Both sources of one tokenizer. */
function tokenizers({ tokenizer, config, pre, spaceBefore }: any): { [source: string]: Tokenizer } {
  const metadata = tokenizer.model.type === "Unigram"
    ? unigramMetadata(tokenizer)
    : ggufMetadata(tokenizer, config, pre, spaceBefore);
  return { "tokenizer.json": tokenizerFromJson(tokenizer, config), "GGUF metadata": tokenizerFromGguf(metadata) };
}

test("the fixtures hold vocabularies of both kinds, byte-level and SentencePiece", () => {
  assert.ok(fixtures.length >= 9, String(fixtures.length));
});

for (const fixture of fixtures) {
  const { name, texts, ids, spaceBefore, prompt, promptIds } = fixture, { model, normalizer } = fixture.tokenizer;
  for (const [source, tokenizer] of Object.entries(tokenizers(fixture))) {
    test(`Tokenizer: ids of ${name} are those of Hugging Face's tokenizers, from ${source}`, () => {
      texts.forEach((text: string, i: number) => {
        // The metadata of a Unigram vocabulary has no place for a normalizer.
        if (source === "GGUF metadata" && model.type === "Unigram" && text.normalize() !== text) return;
        // A document gets no space before it, the reference puts one there.
        const found = tokenizer.encode(spaceBefore ? ` ${text}` : text, { control: false });
        assert.deepEqual(found, ids[i], JSON.stringify(text));
        if (name === "unigram-unknown") return; // what is unknown cannot be written again
        assert.equal(decode(tokenizer, found), normalizerOf(normalizer)(text).replaceAll("▁", " "));
      });
    });

    if (!prompt) continue;
    test(`renderPrompt: the prompt of ${name} is that of transformers, with its ids, from ${source}`, () => {
      assert.deepEqual(tokenizer.encode(prompt, { control: true }), promptIds);
      const { head, tail } = renderPrompt(tokenizer, { system: "Be brief.", instruction: "Why?" });
      const [before, after] = prompt.split("Who speaks?");
      assert.equal(head, before);
      assert.equal(tail, `\n\nWhy?${after}`);
    });
  }
}
