/** A GGUF file's tokenizer (`tokenizer.*` metadata) as the parts that `tokenizer.ts` builds from. */
import { ModelError } from "../errors.ts";
import { shown } from "../engine/gguf/values.ts";
import { SPACES_AS_PIECES } from "./normalizer.ts";
import { DEEPSEEK_V3, DIGIT, GPT2, GPT4O, QWEN35, splitBy, TEKKEN, wordsWithDigits } from "./tokenizer_patterns.ts";
import { type AddedToken, looksLikeText, type TokenizerParts } from "./tokenizer_parts.ts";

/** `tokenizer.ggml.token_type`. */
const TokenType = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;

type Metadata = ReadonlyMap<string, unknown>;

interface PreTokenizer {
  /** Split one after the other, each part by the next pattern. */
  patterns: string[];
  /** A whole word of the vocabulary is taken without merging. */
  wholeWords?: boolean;
  /** Whether the begin-of-text token comes first when the file does not say. */
  addBos?: boolean;
  normalizer?: string;
}

const PLAIN: PreTokenizer = { patterns: [GPT2] };
const DIGITS_APART: PreTokenizer = { patterns: [DIGIT, GPT2] };
const LLAMA3: PreTokenizer = { patterns: [wordsWithDigits(`${DIGIT}{1,3}`)], wholeWords: true, addBos: true };
const CL100K: PreTokenizer = { patterns: LLAMA3.patterns };
const QWEN2: PreTokenizer = { patterns: [wordsWithDigits(DIGIT)], normalizer: "NFC" };

/**
 * By `tokenizer.ggml.pre`, the names of llama.cpp. Each was compared with an original tokenizer or shares its patterns with one that was, but
 * for `qwen35`; what llama.cpp has beyond these could not be.
 */
const PRE_TOKENIZERS: Record<string, PreTokenizer> = {
  "default": PLAIN,
  "gpt-2": PLAIN,
  "phi-2": PLAIN,
  "smollm": DIGITS_APART,
  "starcoder": DIGITS_APART,
  "refact": DIGITS_APART,
  "command-r": { ...DIGITS_APART, normalizer: "NFC" },
  "llama-bpe": LLAMA3,
  "llama3": LLAMA3,
  "llama-v3": LLAMA3,
  "falcon3": LLAMA3,
  "pixtral": LLAMA3,
  "lfm2": LLAMA3,
  "dbrx": CL100K,
  "smaug-bpe": CL100K,
  "qwen2": QWEN2,
  "deepseek-r1-qwen": QWEN2,
  "qwen35": { patterns: [QWEN35], normalizer: "NFC" },
  "deepseek-v3": { patterns: DEEPSEEK_V3 },
  "tekken": { patterns: [TEKKEN], wholeWords: true, addBos: true },
  "gpt-4o": { patterns: [GPT4O] },
};

/** @throws {ModelError} when the metadata has no tokenizer or one of an unsupported kind. */
export function ggufParts(metadata: Metadata): TokenizerParts {
  const kind = metadata.get("tokenizer.ggml.model");
  if (kind === "gpt2") return byteLevelParts(metadata);
  if (kind === "llama") return sentencePieceParts(metadata);
  if (kind === "t5") return unigramParts(metadata);
  if (kind === undefined) throw new ModelError('The model file has no tokenizer: "tokenizer.ggml.model" is missing');
  throw new ModelError(
    `Cannot use the model's tokenizer ${shown(kind)} ("tokenizer.ggml.model"): "gpt2" (byte-level BPE), "llama" ` +
      '(SentencePiece BPE) and "t5" (Unigram) work',
  );
}

function byteLevelParts(metadata: Metadata): TokenizerParts {
  const name = metadata.get("tokenizer.ggml.pre") ?? "default";
  const pre = typeof name === "string" && Object.hasOwn(PRE_TOKENIZERS, name) ? PRE_TOKENIZERS[name]! : undefined;
  if (pre === undefined) {
    const known = Object.keys(PRE_TOKENIZERS).join(", ");
    throw new ModelError(`Cannot use the model's pre-tokenizer ${shown(name)} ("tokenizer.ggml.pre"): ${known} work`);
  }
  return {
    ...commonParts(metadata, texts(metadata, "tokenizer.ggml.tokens"), pre.addBos ?? false, false),
    normalizer: pre.normalizer === undefined ? null : { type: pre.normalizer },
    preTokenizer: pre.patterns.map(splitBy),
    model: { type: "BPE", merges: texts(metadata, "tokenizer.ggml.merges"), wholeWords: pre.wholeWords ?? false },
    spelling: "byteLevel",
    byteFallback: false,
    unknownId: null,
    fuseUnknown: false,
    spaceAfterAdded: "never",
    spaceBeforeText: false,
  };
}

/** What SentencePiece's two kinds have in common. Documents get no space before them: they do not begin the prompt. */
function spacedParts(metadata: Metadata, addBos: boolean) {
  const types = numbers(metadata, "tokenizer.ggml.token_type");
  // The converter writes white space that the vocabulary was given by hand as itself, all other as "▁".
  const pieces = texts(metadata, "tokenizer.ggml.tokens").map((piece, id) =>
    types[id] === TokenType.userDefined && /^ +$/.test(piece) ? piece.replaceAll(" ", "▁") : piece
  );
  const scores = numbers(metadata, "tokenizer.ggml.scores", pieces.length);
  const spaceBefore = metadata.get("tokenizer.ggml.add_space_prefix") !== false;
  const unknown = tokenId(metadata, "unknown") ?? types.indexOf(TokenType.unknown);
  return {
    ...commonParts(metadata, pieces, addBos, true),
    scores,
    normalizer: SPACES_AS_PIECES,
    preTokenizer: [],
    spelling: "sentencePiece" as const,
    unknownId: pieces[unknown] === undefined ? null : unknown,
    fuseUnknown: true,
    spaceAfterAdded: spaceBefore ? "always" as const : "never" as const,
    spaceBeforeText: spaceBefore,
  };
}

function sentencePieceParts(metadata: Metadata): TokenizerParts {
  const { scores, ...parts } = spacedParts(metadata, true);
  const types = numbers(metadata, "tokenizer.ggml.token_type");
  // Pieces that the vocabulary was given by hand are made before all others; the converter writes no score for them.
  const preferred = Float64Array.from(scores, (score, id) => types[id] === TokenType.userDefined ? Infinity : score);
  return { ...parts, byteFallback: true, model: { type: "BPE", merges: null, scores: preferred, wholeWords: false } };
}

function unigramParts(metadata: Metadata): TokenizerParts {
  const charsmap = metadata.get("tokenizer.ggml.precompiled_charsmap") as { length?: number } | undefined;
  if (charsmap?.length) {
    throw new ModelError(
      'Cannot use the model\'s tokenizer "t5" with rules that rewrite characters ("tokenizer.ggml.precompiled_charsmap"): ' +
        "one without them works",
    );
  }
  if (metadata.get("tokenizer.ggml.remove_extra_whitespaces") === true) {
    throw new ModelError(
      'Cannot use the model\'s tokenizer "t5" that drops white space ("tokenizer.ggml.remove_extra_whitespaces" is true): ' +
        "one that keeps it works",
    );
  }
  const { scores, ...parts } = spacedParts(metadata, false);
  const types = numbers(metadata, "tokenizer.ggml.token_type");
  return { ...parts, byteFallback: types.includes(TokenType.byte), model: { type: "Unigram", scores } };
}

/** @param textTokens whether documents may become tokens that were given to the vocabulary by hand */
function commonParts(metadata: Metadata, pieces: readonly string[], defaultAddBos: boolean, textTokens: boolean) {
  const types = numbers(metadata, "tokenizer.ggml.token_type", pieces.length);
  const added: AddedToken[] = [];
  for (let id = 0; id < pieces.length; id++) {
    const control = types[id] === TokenType.control, content = pieces[id]!;
    if (!control && types[id] !== TokenType.userDefined) continue;
    added.push({ id, content, control, text: textTokens && !control && looksLikeText(content) });
  }
  const template = metadata.get("tokenizer.chat_template");
  const addBos = metadata.get("tokenizer.ggml.add_bos_token");
  const ends = ["eos", "eot", "eom"].map((name) => tokenId(metadata, name));
  return {
    pieces,
    added,
    endIds: ends.filter((end): end is number => pieces[end ?? -1] !== undefined),
    chatTemplate: typeof template === "string" && template !== "" ? template : null,
    bosToken: pieces[tokenId(metadata, "bos") ?? -1] ?? "",
    eosToken: pieces[tokenId(metadata, "eos") ?? -1] ?? "",
    addBos: typeof addBos === "boolean" ? addBos : defaultAddBos,
  };
}

function tokenId(metadata: Metadata, name: string): number | undefined {
  const id = metadata.get(`tokenizer.ggml.${name}_token_id`);
  return typeof id === "number" ? id : undefined;
}

function texts(metadata: Metadata, key: string): string[] {
  const found = metadata.get(key);
  if (!Array.isArray(found)) throw missing(key);
  if (!found.every((text) => typeof text === "string")) {
    throw new ModelError(`The model file's tokenizer is damaged: "${key}" holds other things than text`);
  }
  return found;
}

/** @param length how many there must be */
function numbers(
  metadata: Metadata,
  key: string,
  length?: number,
): ArrayLike<number> & { indexOf(n: number): number; includes(n: number): boolean } {
  const found = metadata.get(key);
  const typed = ArrayBuffer.isView(found) && !(found instanceof DataView) && !(found instanceof BigInt64Array) &&
    !(found instanceof BigUint64Array);
  if (!typed && !Array.isArray(found)) throw missing(key);
  const list = found as number[];
  if (!typed && !list.every((n) => typeof n === "number")) {
    throw new ModelError(`The model file's tokenizer is damaged: "${key}" holds other things than numbers`);
  }
  if (length !== undefined && list.length !== length) {
    throw new ModelError(
      `The model file's tokenizer is damaged: "${key}" has ${list.length} entries for ${length} tokens`,
    );
  }
  return list;
}

function missing(key: string): ModelError {
  return new ModelError(`The model file's tokenizer is incomplete: "${key}" is missing`);
}
