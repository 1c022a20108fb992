/**
 * Text to token ids and back. Splitting text into words is `pre_tokenizer.ts`'s, the words' ids are
 * `vocabulary.ts`'s; this file decides what a text may spell (a document never becomes control tokens), makes streams agree with
 * whole texts, and keeps a bounded cache.
 */
import { addedTokenSplitter } from "./added_tokens.ts";
import { cutsOf } from "./cuts.ts";
import { pieceBytes, type TextStream, textStream } from "./text_stream.ts";
import { encodeSegments, type SegmentEncoder, segmentStream, type TokenStream } from "./token_stream.ts";
import { normalizerOf } from "./normalizer.ts";
import { wordSplitter } from "./pre_tokenizer.ts";
import { ggufParts } from "./tokenizer_gguf.ts";
import { jsonParts } from "./tokenizer_json.ts";
import type { AddedToken, TokenizerParts } from "./tokenizer_parts.ts";
import { splitWithKnown } from "./unicode.ts";
import { type WordEncoder, wordEncoder } from "./vocabulary.ts";

export type { TextStream, TokenStream };

/** Tokenizer of one model. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** Ids that end an answer (end of text, end of turn). */
  readonly stopIds: ReadonlySet<number>;
  /** Jinja source of the model's chat template, or null. */
  readonly chatTemplate: string | null;
  /** Text of the begin-of-text token, "" if there is none. */
  readonly bosToken: string;
  /** Text of the end-of-text token, "" if there is none. */
  readonly eosToken: string;
  /** Whether the model expects the begin-of-text token first. `encode` never adds it. */
  readonly addBos: boolean;
  /**
   * Ids of a text. `control: true` (rendered templates): added tokens such as `<|im_start|>` become their ids.
   * `control: false` (documents): the text is data, and such spellings are made of ordinary tokens.
   */
  encode(text: string, options: { control: boolean }): number[];
  /** Tokens of a text that arrives in pieces: equal to `encode(whole, { control: false })` for any split. */
  stream(): TokenStream;
  /** Text of ids that arrive one by one. Control tokens have no text. */
  textStream(): TextStream;
}

/** Control tokens that end an answer in every model that has them, whether or not its file says so. */
const END_TEXTS = [
  "<|im_end|>",
  "<|endoftext|>",
  "<|end_of_text|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "</s>",
  "<end_of_turn>",
  "<|end|>",
];

/**
 * Reads the tokenizer of a GGUF file from its metadata.
 * @throws {ModelError} when it is missing or of an unsupported kind.
 */
export function tokenizerFromGguf(metadata: ReadonlyMap<string, unknown>): Tokenizer {
  return makeTokenizer(ggufParts(metadata));
}

/**
 * Reads the tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json` of a Hugging Face folder.
 * @param endIds further ids that end an answer (`eos_token_id` of `generation_config.json`)
 * @param rows of the embedding matrix, where known
 * @throws {ModelError} when it is incomplete or of an unsupported kind.
 */
export function tokenizerFromJson(
  tokenizerJson: unknown,
  tokenizerConfig: unknown,
  endIds: readonly number[] = [],
  rows?: number,
): Tokenizer {
  const parts = jsonParts(tokenizerJson, tokenizerConfig, rows);
  return makeTokenizer({ ...parts, endIds: [...parts.endIds, ...endIds] });
}

function makeTokenizer(parts: TokenizerParts): Tokenizer {
  const ids = textIds(parts), split = normalizedWords(parts);
  const encodeSegment = cachedEncoder(segmentEncoder(parts, split, wordEncoder(parts, ids)));
  const byteLevel = parts.spelling === "byteLevel";
  const cuts = cutsOf(ids.keys(), parts.spelling, split);
  const plain = (text: string): number[] => encodeSegments(text, cuts, encodeSegment);
  const addedById = new Map(parts.added.map((token) => [token.id, token]));
  const splitAdded = addedTokenSplitter(parts.added);
  const noBytes = new Uint8Array(0);

  function encodeTemplate(text: string): number[] {
    const sections = splitAdded(text), all: number[] = [];
    sections.forEach((section, i) => {
      if (typeof section !== "string") return void all.push(section.id);
      const before = sections[i - 1] as AddedToken | undefined, after = sections[i + 1] as AddedToken | undefined;
      let ordinary = after?.lstrip ? section.trimEnd() : section;
      if (before?.rstrip) ordinary = ordinary.trimStart();
      if (ordinary === "") return;
      const addSpace = before !== undefined && !before.text &&
        (parts.spaceAfterAdded === "always" || (parts.spaceAfterAdded === "missing" && !ordinary.startsWith(" ")));
      for (const id of plain(addSpace ? " " + ordinary : ordinary)) all.push(id);
    });
    return all;
  }

  function bytesOf(id: number): Uint8Array {
    const piece = parts.pieces[id], added = addedById.get(id);
    if (piece === undefined || added?.control) return noBytes;
    return added && byteLevel ? new TextEncoder().encode(piece) : pieceBytes(piece, parts.spelling);
  }

  return {
    vocabSize: parts.pieces.length,
    stopIds: new Set([
      ...parts.endIds,
      ...parts.added.filter((token) => token.control && END_TEXTS.includes(token.content)).map((token) => token.id),
    ]),
    chatTemplate: parts.chatTemplate,
    bosToken: parts.bosToken,
    eosToken: parts.eosToken,
    addBos: parts.addBos,
    encode: (text, { control }) => control ? encodeTemplate(text) : plain(text),
    stream: () => segmentStream(cuts, encodeSegment),
    textStream: () => textStream(bytesOf, parts.spaceBeforeText),
  };
}

/** Ids of the pieces that text may become: no added token, but those that are pieces of text. */
function textIds({ pieces, added }: TokenizerParts): Map<string, number> {
  const ids = new Map<string, number>();
  for (let id = 0; id < pieces.length; id++) if (pieces[id]) ids.set(pieces[id]!, id);
  for (const { content, text } of added) if (!text) ids.delete(content);
  return ids;
}

/** Normalizes text and splits it into words, as the vocabulary spells them before bytes are spelled. */
function normalizedWords({ normalizer, preTokenizer }: TokenizerParts): (text: string) => string[] {
  const normalize = normalizerOf(normalizer), split = wordSplitter(preTokenizer);
  // UTF-8 has no lone surrogates.
  return (text) => splitWithKnown(normalize(text.toWellFormed()), split);
}

function segmentEncoder(
  { added }: TokenizerParts,
  split: (text: string) => string[],
  encodeWord: WordEncoder,
): SegmentEncoder {
  const splitText = addedTokenSplitter(added.filter((token) => token.text));
  return (segment, ids) => {
    for (const part of splitText(segment)) {
      if (typeof part !== "string") ids.push(part.id);
      else for (const word of split(part)) encodeWord(word, ids);
    }
  };
}

/** Segments up to this many code units are remembered: words with their punctuation. */
const CACHED_LENGTH = 32;
const CACHE_ENTRIES = 1 << 16;

function cachedEncoder(encode: SegmentEncoder): SegmentEncoder {
  const cache = new Map<string, readonly number[]>();
  return (segment, ids) => {
    if (segment.length > CACHED_LENGTH) return encode(segment, ids);
    let found = cache.get(segment);
    if (found === undefined) {
      const fresh: number[] = [];
      encode(segment, fresh);
      found = fresh;
      if (cache.size >= CACHE_ENTRIES) cache.clear();
      cache.set(ownCopy(segment), found);
    }
    for (const id of found) ids.push(id);
  };
}

/** The same string in memory of its own: a slice would keep the whole piece of the document it was cut from. */
function ownCopy(text: string): string {
  const codes = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  return String.fromCharCode(...codes);
}
