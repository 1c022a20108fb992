/** A GGUF file's tokenizer (`tokenizer.*` metadata) as the parts that `tokenizer.ts` builds from. */
import { ModelError } from "../errors.ts";
import { mergesFromScores } from "./tokenizer_merges.ts";
import { BYTE_LEVEL, DIGIT, GPT2, splitBy, wordsWithDigits } from "./tokenizer_patterns.ts";
import type { AddedToken, TokenizerParts } from "./tokenizer_parts.ts";

/** `tokenizer.ggml.token_type`. */
const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

type Metadata = ReadonlyMap<string, unknown>;

interface PreTokenizer {
  /** Split one after the other, each part by the next pattern. */
  patterns: string[];
  /** A whole word of the vocabulary is taken without merging. */
  ignoreMerges?: boolean;
  /** Whether the begin-of-text token comes first when the file does not say. */
  addBos?: boolean;
  normalizer?: string;
}

const SMOLLM: PreTokenizer = { patterns: [DIGIT, GPT2] };
const LLAMA3: PreTokenizer = { patterns: [wordsWithDigits(`${DIGIT}{1,3}`)], ignoreMerges: true, addBos: true };
const QWEN2: PreTokenizer = { patterns: [wordsWithDigits(DIGIT)], normalizer: "NFC" };

/** By `tokenizer.ggml.pre`. */
const PRE_TOKENIZERS: Record<string, PreTokenizer> = {
  "default": { patterns: [GPT2] },
  "gpt-2": { patterns: [GPT2] },
  "smollm": SMOLLM,
  "llama-bpe": LLAMA3,
  "llama3": LLAMA3,
  "smaug-bpe": { ...LLAMA3, ignoreMerges: false, addBos: false },
  "qwen2": QWEN2,
};

/** @throws {ModelError} when the metadata has no tokenizer or one of an unsupported kind. */
export function ggufParts(metadata: Metadata): TokenizerParts {
  const kind = metadata.get("tokenizer.ggml.model");
  if (kind === "gpt2") return byteLevelParts(metadata);
  if (kind === "llama") return sentencePieceParts(metadata);
  if (kind === undefined) throw new ModelError('The model file has no tokenizer: "tokenizer.ggml.model" is missing');
  throw new ModelError(
    `Cannot use the model's tokenizer "${kind}": "gpt2" (byte-level BPE) and "llama" (SentencePiece BPE) work`,
  );
}

function byteLevelParts(metadata: Metadata): TokenizerParts {
  const name = String(metadata.get("tokenizer.ggml.pre") ?? "default");
  const pre = Object.hasOwn(PRE_TOKENIZERS, name) ? PRE_TOKENIZERS[name]! : undefined;
  if (pre === undefined) {
    const known = Object.keys(PRE_TOKENIZERS).join(", ");
    throw new ModelError(`Cannot use the model's pre-tokenizer "${name}" ("tokenizer.ggml.pre"): ${known} work`);
  }
  const pieces = pieceTexts(metadata);
  return {
    ...commonParts(metadata, pieces, pre.addBos ?? false),
    pipeline: {
      normalizer: pre.normalizer === undefined ? null : { type: pre.normalizer },
      pre_tokenizer: { type: "Sequence", pretokenizers: [...pre.patterns.map(splitBy), BYTE_LEVEL] },
      model: {
        type: "BPE",
        vocab: idsOf(pieces),
        merges: list<string>(metadata, "tokenizer.ggml.merges"),
        ignore_merges: pre.ignoreMerges ?? false,
      },
    },
    spelling: "byteLevel",
    spaceAfterAdded: "never",
  };
}

function sentencePieceParts(metadata: Metadata): TokenizerParts {
  const pieces = pieceTexts(metadata);
  const types = list<number>(metadata, "tokenizer.ggml.token_type");
  const scores = list<number>(metadata, "tokenizer.ggml.scores");
  if (scores.length !== pieces.length) {
    throw new ModelError(`The model file's tokenizer has ${scores.length} scores for ${pieces.length} tokens`);
  }
  const unknown = types.indexOf(TokenType.unknown);
  return {
    ...commonParts(metadata, pieces, true),
    pipeline: {
      normalizer: { type: "Replace", pattern: { String: " " }, content: "▁" },
      pre_tokenizer: null,
      model: {
        type: "BPE",
        vocab: idsOf(pieces),
        merges: mergesFromScores(pieces, scores, (id) => types[id] === TokenType.normal),
        byte_fallback: true,
        fuse_unk: true,
        ...(unknown >= 0 ? { unk_token: pieces[unknown] } : {}),
      },
    },
    spelling: "sentencePiece",
    spaceAfterAdded: metadata.get("tokenizer.ggml.add_space_prefix") === false ? "never" : "always",
  };
}

function commonParts(metadata: Metadata, pieces: readonly string[], defaultAddBos: boolean) {
  const types = list<number>(metadata, "tokenizer.ggml.token_type");
  const added: AddedToken[] = [];
  for (let id = 0; id < pieces.length; id++) {
    const control = types[id] === TokenType.control;
    if (control || types[id] === TokenType.userDefined) added.push({ id, content: pieces[id]!, control });
  }
  const id = (name: string) => metadata.get(`tokenizer.ggml.${name}_token_id`) as number | undefined;
  const template = metadata.get("tokenizer.chat_template");
  const addBos = metadata.get("tokenizer.ggml.add_bos_token");
  return {
    pieces,
    added,
    endIds: [id("eos"), id("eot"), id("eom")].filter((end): end is number => pieces[end ?? -1] !== undefined),
    chatTemplate: typeof template === "string" && template !== "" ? template : null,
    bosToken: pieces[id("bos") ?? -1] ?? "",
    eosToken: pieces[id("eos") ?? -1] ?? "",
    addBos: typeof addBos === "boolean" ? addBos : defaultAddBos,
  };
}

function pieceTexts(metadata: Metadata): string[] {
  const pieces = list<string>(metadata, "tokenizer.ggml.tokens");
  if (!pieces.every((piece) => typeof piece === "string")) {
    throw new ModelError(
      'The model file\'s tokenizer is damaged: "tokenizer.ggml.tokens" holds other things than text',
    );
  }
  return pieces;
}

function idsOf(pieces: readonly string[]): Record<string, number> {
  const ids: Record<string, number> = Object.create(null);
  for (let id = 0; id < pieces.length; id++) ids[pieces[id]!] = id;
  return ids;
}

/** An array of the metadata, plain or typed. */
function list<T>(metadata: Metadata, key: string): T[] {
  const value = metadata.get(key);
  if (Array.isArray(value)) return value;
  if (ArrayBuffer.isView(value) && !(value instanceof DataView)) return Array.from(value as unknown as ArrayLike<T>);
  throw new ModelError(`The model file's tokenizer is incomplete: "${key}" is missing`);
}
