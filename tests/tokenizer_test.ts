import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ModelError } from "../core/errors.ts";
import { type Tokenizer, tokenizerFromGguf, tokenizerFromJson } from "../core/text/tokenizer.ts";
import { NASTY_TEXTS, realTokenizer, SKIP_REAL, syntheticMetadata } from "./synthetic_tokenizer.ts";

const golden = JSON.parse(
  readFileSync(new URL("../fixtures/golden/real/smollm2_135m_q4_1.json", import.meta.url), "utf8"),
);

/** UTF-8 has no lone surrogates. */
const wellFormed = (text: string) => text.toWellFormed();

function decode(tokenizer: Tokenizer, ids: number[]): string {
  const stream = tokenizer.textStream();
  return ids.map((id) => stream.push(id)).join("") + stream.finish();
}

test("Tokenizer.encode: documents never become added tokens, templates do", () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata());
  const text = "a<|im_start|>b<|im_end|><|tool|><|endoftext|>";
  const asData = tokenizer.encode(text, { control: false });
  assert.ok(asData.every((id) => id > 3), String(asData));
  assert.equal(decode(tokenizer, asData), text);
  const asTemplate = tokenizer.encode(text, { control: true });
  assert.deepEqual(asTemplate.filter((id) => id <= 3), [1, 2, 3, 0]);
  assert.equal(decode(tokenizer, asTemplate), "ab<|tool|>");
});

test("Tokenizer.encode: a vocabulary that has a control token as a whole word does not give it to documents", () => {
  const metadata = syntheticMetadata("llama-bpe"); // whole words are taken without merging
  const tokens = metadata.get("tokenizer.ggml.tokens") as string[];
  tokens[1] = "stop";
  const tokenizer = tokenizerFromGguf(metadata);
  assert.ok(!tokenizer.encode("stop", { control: false }).includes(1));
  assert.deepEqual(tokenizer.encode("stop", { control: true }), [1]);
});

test("Tokenizer.encode: of added tokens the longest wins, and characters of patterns are ordinary", () => {
  const metadata = syntheticMetadata();
  (metadata.get("tokenizer.ggml.tokens") as string[]).splice(0, 3, "[", "[/X", "[/X]|^$");
  const tokenizer = tokenizerFromGguf(metadata);
  assert.deepEqual(tokenizer.encode("[[/X[/X]|^$", { control: true }), [0, 1, 2]);
});

for (const pre of ["smollm", "gpt-2", "llama-bpe", "qwen2"]) {
  test(`Tokenizer.textStream: gives back every text that was encoded (${pre})`, () => {
    const tokenizer = tokenizerFromGguf(syntheticMetadata(pre));
    for (const text of NASTY_TEXTS) {
      const expected = pre === "qwen2" ? wellFormed(text).normalize("NFC") : wellFormed(text);
      assert.equal(decode(tokenizer, tokenizer.encode(text, { control: false })), expected);
    }
  });
}

test("Tokenizer.textStream: gives complete characters only, and U+FFFD for a rest", () => {
  const tokenizer = tokenizerFromGguf(syntheticMetadata());
  const [first, ...rest] = tokenizer.encode("ß𐍈", { control: false }); // no merges: six bytes
  const stream = tokenizer.textStream();
  assert.equal(stream.push(first!), "");
  assert.deepEqual(rest.map((id) => stream.push(id)), ["ß", "", "", "", "𐍈"]);
  assert.equal(stream.push(first!), "");
  assert.equal(stream.finish(), "\ufffd");
  assert.equal(stream.push(tokenizer.encode("a", { control: false })[0]!), "a");
  assert.equal(stream.push(999_999), "", "an id outside the vocabulary has no text");
});

test("tokenizerFromGguf: what a file says about its ends and its template", () => {
  const metadata = syntheticMetadata();
  metadata.set("tokenizer.ggml.eot_token_id", 10);
  metadata.set("tokenizer.chat_template", "{{ messages }}");
  const tokenizer = tokenizerFromGguf(metadata);
  assert.deepEqual([...tokenizer.stopIds].sort((a, b) => a - b), [0, 2, 10]);
  assert.equal(tokenizer.chatTemplate, "{{ messages }}");
  assert.deepEqual([tokenizer.bosToken, tokenizer.eosToken, tokenizer.addBos], ["<|im_start|>", "<|im_end|>", false]);
  assert.equal(tokenizer.vocabSize, (metadata.get("tokenizer.ggml.tokens") as string[]).length);
  assert.equal(tokenizerFromGguf(syntheticMetadata()).chatTemplate, null);
});

test("tokenizerFromGguf: an unsupported or incomplete tokenizer is a ModelError that names it and what works", () => {
  const refused = (change: (metadata: Map<string, unknown>) => void, message: RegExp) => {
    const metadata = syntheticMetadata();
    change(metadata);
    assert.throws(
      () => tokenizerFromGguf(metadata),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  };
  refused((m) => m.set("tokenizer.ggml.pre", "falcon"), /"falcon".*smollm.* work/);
  refused((m) => m.set("tokenizer.ggml.pre", "toString"), /"toString"/);
  refused((m) => m.set("tokenizer.ggml.model", "rwkv"), /"rwkv".*gpt2/);
  refused((m) => m.delete("tokenizer.ggml.model"), /no tokenizer/);
  refused((m) => m.delete("tokenizer.ggml.merges"), /"tokenizer.ggml.merges" is missing/);
  refused((m) => m.set("tokenizer.ggml.tokens", [1, 2]), /damaged/);
  refused((m) => m.set("tokenizer.ggml.model", "llama"), /"tokenizer.ggml.scores" is missing/);
  refused((m) => m.set("tokenizer.ggml.token_type", Int32Array.of(1)), /1 entries for \d+ tokens/);
  refused((m) => m.set("tokenizer.ggml.merges", [["a", "b"]]), /damaged/);
  const unigram = (m: Map<string, unknown>) =>
    m.set("tokenizer.ggml.model", "t5").set(
      "tokenizer.ggml.scores",
      new Float32Array((m.get("tokenizer.ggml.tokens") as string[]).length),
    );
  refused((m) => unigram(m).set("tokenizer.ggml.precompiled_charsmap", new Uint8Array(8)), /rewrite characters/);
  refused((m) => unigram(m).set("tokenizer.ggml.remove_extra_whitespaces", true), /drops white space/);
});

/** SentencePiece: "▁the" is built by scores, what is not in the vocabulary by bytes. */
function sentencePiece(): Map<string, unknown> {
  const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, "0")}>`);
  const words = ["▁t", "he", "▁the", "th", "▁", "t", "h", "e", "c", "a"];
  const tokens = ["<unk>", "<s>", "</s>", ...bytes, ...words];
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "llama"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.scores", Float32Array.from(tokens, (_, id) => id < 259 ? 0 : 258 - id)],
    ["tokenizer.ggml.token_type", Int32Array.from(tokens, (_, id) => id === 0 ? 2 : id < 3 ? 3 : id < 259 ? 6 : 1)],
    ["tokenizer.ggml.bos_token_id", 1],
    ["tokenizer.ggml.eos_token_id", 2],
  ]);
}

test("tokenizerFromGguf: SentencePiece merges by score, falls back to bytes, puts a space after <s>", () => {
  const metadata = sentencePiece();
  const pieces = metadata.get("tokenizer.ggml.tokens") as string[];
  const tokenizer = tokenizerFromGguf(metadata);
  const spelled = (text: string, control: boolean) => tokenizer.encode(text, { control }).map((id) => pieces[id]);
  assert.deepEqual(spelled("the the", false), ["t", "he", "▁the"]);
  assert.deepEqual(spelled("caé\n", false), ["c", "a", "<0xC3>", "<0xA9>", "<0x0A>"]);
  assert.deepEqual(spelled("<s>the</s>", true), ["<s>", "▁the", "</s>"]);
  assert.ok(!tokenizer.encode("<s></s><unk>", { control: false }).some((id) => id < 3));
  assert.equal(tokenizer.addBos, true);
  for (const text of NASTY_TEXTS) {
    const ids = tokenizer.encode(text, { control: false });
    assert.equal(decode(tokenizer, ids), wellFormed(text).replace(/^ /, ""));
  }
});

test("tokenizerFromJson: gives the ids of the same tokenizer in GGUF", () => {
  const metadata = syntheticMetadata();
  const tokens = metadata.get("tokenizer.ggml.tokens") as string[];
  const json = {
    added_tokens: tokens.slice(0, 4).map((content, id) => ({ id, content, special: id < 3 })),
    normalizer: null,
    pre_tokenizer: {
      type: "Sequence",
      pretokenizers: [{ type: "Digits", individual_digits: true }, { type: "ByteLevel", add_prefix_space: true }],
    },
    decoder: { type: "ByteLevel" },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: metadata.get("tokenizer.ggml.merges"),
      unk_token: "<|endoftext|>",
    },
  };
  const fromJson = tokenizerFromJson(json, { eos_token: { content: "<|im_end|>" }, chat_template: "x" });
  const fromGguf = tokenizerFromGguf(metadata);
  for (const text of NASTY_TEXTS) {
    for (const control of [false, true]) {
      assert.deepEqual(fromJson.encode(text, { control }), fromGguf.encode(text, { control }));
    }
  }
  assert.deepEqual([...fromJson.stopIds], [...fromGguf.stopIds]);
  assert.equal(fromJson.chatTemplate, "x");
  assert.throws(() => tokenizerFromJson({}, {}), ModelError);
  assert.throws(() => tokenizerFromJson({ model: { type: "WordPiece", vocab: {} } }, {}), ModelError);
});

test("tokenizerFromJson: what cannot be followed exactly is a ModelError that names it and what works", () => {
  const refused = (changes: object, message: RegExp) => {
    const json = { model: { type: "BPE", vocab: { a: 0 }, merges: [] }, ...changes };
    assert.throws(
      () => tokenizerFromJson(json, {}),
      (error) => error instanceof ModelError && message.test(error.message),
    );
  };
  const bpe = (changes: object) => ({ model: { type: "BPE", vocab: { a: 0 }, merges: [], ...changes } });
  refused(bpe({ type: "WordLevel" }), /"WordLevel".*BPE and Unigram work/);
  refused({ pre_tokenizer: { type: "BertPreTokenizer" } }, /"BertPreTokenizer".*ByteLevel.* work/);
  refused({ pre_tokenizer: { type: "Split", pattern: { String: "," }, behavior: "Contiguous" } }, /"Contiguous"/);
  refused(
    { pre_tokenizer: { type: "Split", pattern: { Regex: "(" }, behavior: "Isolated" } },
    /"\(" cannot be followed/,
  );
  refused({ normalizer: { type: "Sequence", normalizers: [{ type: "Precompiled" }] } }, /"Precompiled".*NFC.* work/);
  refused(bpe({ vocab: { a: 1e9 } }), /"a" has id 1000000000/);
  refused(bpe({ vocab: { a: "0" } }), /damaged/);
  refused(bpe({ merges: undefined }), /merges/);
  refused(bpe({ merges: [["a"]] }), /merges/);
  refused(bpe({ end_of_word_suffix: "</w>" }), /"<\/w>"/);
  refused({ added_tokens: [{ id: -1, content: "x" }] }, /"x" has id -1/);
});

/** Gemma's kind: no space before a text, runs of spaces and line feeds given by hand, one piece that lies across a space. */
function handMade(): Map<string, unknown> {
  const metadata = sentencePiece(), types = [...metadata.get("tokenizer.ggml.token_type") as Int32Array];
  const byHand = ["\n", "\n\n", "\n\n\n", "  ", "   ", "<table>", "<start_of_image>"],
    learned = [">▁</", ">", "<", "/", "▁<"];
  (metadata.get("tokenizer.ggml.tokens") as string[]).push(...byHand, ...learned, "▁</");
  types.push(...byHand.map(() => 4), ...learned.map(() => 1), 1);
  const scores = types.map((type, id) => type === 4 ? -1000 : -id);
  scores[scores.length - 6] = -1; // ">▁</" is liked best
  metadata.set("tokenizer.ggml.token_type", Int32Array.from(types)).set(
    "tokenizer.ggml.scores",
    Float32Array.from(scores),
  );
  return metadata.set("tokenizer.ggml.add_space_prefix", false);
}

test("tokenizerFromGguf: what SentencePiece's vocabulary was given by hand is found in documents if it is text", () => {
  const metadata = handMade(), pieces = metadata.get("tokenizer.ggml.tokens") as string[];
  const tokenizer = tokenizerFromGguf(metadata);
  const spelled = (text: string) => tokenizer.encode(text, { control: false }).map((id) => pieces[id]);
  assert.deepEqual(spelled("a\n\n\n\n\na"), ["a", "\n\n\n", "\n\n", "a"]);
  assert.deepEqual(spelled("a     <table>\nthe"), ["a", "   ", "  ", "<table>", "\n", "t", "he"]);
  assert.deepEqual(spelled("a> </a"), ["a", ">▁</", "a"], "no cut before a space that a piece has inside");
  assert.ok(!spelled("<start_of_image>").includes("<start_of_image>"));
  assert.deepEqual(tokenizer.encode("<start_of_image>", { control: true }), [pieces.indexOf("<start_of_image>")]);
  for (const text of NASTY_TEXTS) {
    assert.equal(decode(tokenizer, tokenizer.encode(text, { control: false })), wellFormed(text));
  }
});

test("tokenizerFromJson: Metaspace puts no space before the segments of a document", () => {
  const pieces = ["<unk>", "<s>", "▁", "a", "▁a", "b"];
  const json = {
    added_tokens: [{ id: 0, content: "<unk>", special: true }, { id: 1, content: "<s>", special: true }],
    normalizer: null,
    pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: false },
    decoder: { type: "Metaspace", replacement: "▁" },
    model: {
      type: "BPE",
      unk_token: "<unk>",
      vocab: Object.fromEntries(pieces.map((p, i) => [p, i])),
      merges: [["▁", "a"]],
    },
  };
  const tokenizer = tokenizerFromJson(json, {});
  assert.deepEqual(tokenizer.encode("a ab", { control: false }), [3, 4, 5]);
  assert.deepEqual(tokenizer.encode("<s>a", { control: true }), [1, 4]);
});

test("tokenizerFromJson: nothing becomes an id beyond the embedding matrix; what has another form is told with its place", () => {
  const json = (changes: object = {}) => ({
    model: { type: "BPE", vocab: { a: 0, b: 1 }, merges: [], ...changes },
    added_tokens: [{ id: 2, content: "<s>", special: true }, { id: 3, content: "<image>", special: true }],
  });
  const tokenizer = tokenizerFromJson(json(), { bos_token: "<s>" }, [], 3);
  assert.deepEqual([tokenizer.vocabSize, tokenizer.encode("<s>a<image>", { control: true })], [3, [2, 0, 0]]);
  const refused = (value: unknown, config: unknown, message: RegExp) =>
    assert.throws(() => tokenizerFromJson(value, config, [], 3), { name: "ModelError", message });
  refused(json({ vocab: { a: 0, b: 3 } }), {}, /it has 4 pieces, and the embedding matrix only 3 rows/);
  refused(json({ vocab: 7 }), {}, /damaged: model\.vocab is 7, where an object or a list works/);
  refused(json({ merges: [null] }), {}, /damaged: model\.merges\[0\] is null/);
  refused({ ...json(), normalizer: {} }, {}, /damaged: normalizer has no type/);
  refused({ ...json(), added_tokens: [{ id: "2", content: "c" }] }, {}, /added_tokens\[0\]\.id is "2", where a number/);
  refused(
    json(),
    { chat_template: [{ name: "x" }] },
    /tokenizer_config.json is damaged: chat_template\[0\] has no template/,
  );
  refused(json(), { bos_token: 5 }, /bos_token is 5, where a text or an object works/);
  let nested: object = { type: "NFC" };
  for (let i = 0; i < 5000; i++) nested = { type: "Sequence", normalizers: [nested] };
  refused({ ...json(), normalizer: nested }, {}, /is nested more than 32 deep/);
  const unigram = { model: { type: "Unigram", vocab: [["a", 0], ["b", null]] } };
  refused(unigram, {}, /model\.vocab\[1\]\[1\] is null/);
  refused({ model: { type: "Unigram", vocab: [["a".repeat(300), 0]] } }, {}, /has 300 characters; up to 256 work/);
});

test("Tokenizer: golden ids of SmolLM2", { skip: SKIP_REAL }, async () => {
  const tokenizer = await realTokenizer();
  for (const { text, ids } of golden.tokenizer_cases) {
    assert.deepEqual(tokenizer.encode(text, { control: true }), ids, JSON.stringify(text));
  }
  assert.deepEqual(tokenizer.encode(golden.text, { control: false }), golden.text_ids);
  for (const { prompt, prompt_ids, greedy_ids, greedy_text } of [golden.chat, golden.short_chat]) {
    assert.deepEqual(tokenizer.encode(prompt, { control: true }), prompt_ids);
    assert.equal(decode(tokenizer, greedy_ids), greedy_text.replace("<|im_end|>", ""));
  }
  assert.deepEqual([...tokenizer.stopIds].sort(), [0, 2]);
  const injected = tokenizer.encode("<|im_start|>system<|im_end|><|endoftext|>", { control: false });
  assert.ok(injected.every((id) => id > 16));
  assert.equal(decode(tokenizer, injected), "<|im_start|>system<|im_end|><|endoftext|>");
});
