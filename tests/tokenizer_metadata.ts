/** A tokenizer.json as the `tokenizer.*` metadata of a GGUF file: what llama.cpp's converter would write. */
import { looksLikeControl } from "../core/text/tokenizer_parts.ts";

interface Json {
  added_tokens: { id: number; content: string; special: boolean; normalized: boolean }[];
  model: { vocab: Record<string, number>; merges: (string | [string, string])[]; unk_token?: string };
}

interface Config {
  bos_token?: string | { content: string } | null;
  eos_token?: string | { content: string } | null;
  add_bos_token?: boolean;
  chat_template?: string | { name: string; template: string }[];
}

const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 };

/**
 * @param pre `tokenizer.ggml.pre` of a byte-level vocabulary; null for SentencePiece's
 * @param spaceBefore whether SentencePiece's puts a space before a text
 */
export function ggufMetadata(
  json: Json,
  config: Config,
  pre: string | null,
  spaceBefore = false,
): Map<string, unknown> {
  const tokens: string[] = [], types: number[] = [];
  for (const [piece, id] of Object.entries(json.model.vocab)) {
    tokens[id] = piece;
    types[id] = TokenType.normal;
    if (pre === null && /^<0x[0-9A-F]{2}>$/.test(piece)) types[id] = TokenType.byte;
    if (pre === null && piece === json.model.unk_token) types[id] = TokenType.unknown;
  }
  for (const { id, content, special } of json.added_tokens) {
    const control = special || looksLikeControl(content);
    // White space given by hand is written as itself.
    tokens[id] = control ? content : content.replaceAll("▁", " ");
    types[id] = control ? TokenType.control : TokenType.userDefined;
  }
  for (let id = 0; id < tokens.length; id++) {
    if (tokens[id] !== undefined) continue;
    tokens[id] = `[PAD${id}]`;
    types[id] = TokenType.unused;
  }
  const metadata = new Map<string, unknown>([
    ["tokenizer.ggml.model", pre === null ? "llama" : "gpt2"],
    ["tokenizer.ggml.pre", pre ?? "default"],
    ["tokenizer.ggml.tokens", tokens],
    ["tokenizer.ggml.token_type", Int32Array.from(types)],
  ]);
  if (pre === null) {
    metadata.set("tokenizer.ggml.scores", scores(json, tokens, types));
    metadata.set("tokenizer.ggml.add_space_prefix", spaceBefore);
    const unknown = tokens.indexOf(json.model.unk_token ?? "");
    if (unknown >= 0) metadata.set("tokenizer.ggml.unknown_token_id", unknown);
  } else {
    metadata.set("tokenizer.ggml.merges", json.model.merges.map((m) => typeof m === "string" ? m : m.join(" ")));
  }
  for (const name of ["bos", "eos"] as const) {
    const token = config[`${name}_token`], content = typeof token === "string" ? token : token?.content;
    const id = content === undefined ? -1 : tokens.indexOf(content);
    if (id >= 0) metadata.set(`tokenizer.ggml.${name}_token_id`, id);
  }
  if (config.add_bos_token !== undefined) metadata.set("tokenizer.ggml.add_bos_token", config.add_bos_token);
  const named = config.chat_template;
  const template = Array.isArray(named) ? named.find(({ name }) => name === "default")?.template : named;
  if (template !== undefined) metadata.set("tokenizer.chat_template", template);
  return metadata;
}

/**
 * SentencePiece's scores, which a tokenizer.json leaves out: the n-th learned piece has -n, runs of spaces -1e9 (as in Mistral's
 * tokenizer.model), and the converter gives -1000 to what was given by hand.
 */
function scores(json: Json, tokens: string[], types: number[]): Float32Array {
  const found = new Float32Array(tokens.length), byHand = new Set(json.added_tokens.map(({ id }) => id));
  let learned = 0;
  for (let id = 0; id < tokens.length; id++) {
    if (byHand.has(id)) found[id] = -1000;
    else if (types[id] === TokenType.normal) found[id] = /^▁+$/.test(tokens[id]!) ? -1e9 : -learned++;
  }
  return found;
}

/** The same of a Unigram vocabulary, without its normalizer, for which the format has no place but a charsmap. */
export function unigramMetadata({ model, added_tokens }: {
  model: { vocab: [string, number][]; unk_id: number; byte_fallback?: boolean };
  added_tokens: { id: number }[];
}): Map<string, unknown> {
  const control = new Set(added_tokens.map(({ id }) => id));
  const typeOf = (piece: string, id: number) => {
    if (id === model.unk_id) return TokenType.unknown;
    if (control.has(id)) return TokenType.control;
    return model.byte_fallback && /^<0x[0-9A-F]{2}>$/.test(piece) ? TokenType.byte : TokenType.normal;
  };
  return new Map<string, unknown>([
    ["tokenizer.ggml.model", "t5"],
    ["tokenizer.ggml.tokens", model.vocab.map(([piece]) => piece)],
    ["tokenizer.ggml.scores", Float64Array.from(model.vocab, ([, score]) => score)],
    ["tokenizer.ggml.token_type", Int32Array.from(model.vocab, ([piece], id) => typeOf(piece, id))],
    ["tokenizer.ggml.add_space_prefix", false],
  ]);
}
