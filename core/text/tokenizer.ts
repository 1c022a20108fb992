/**
 * Text to token ids and back. Splitting and merging is `@huggingface/tokenizers`'s; this file decides what a text may
 * spell (a document never becomes control tokens), makes streams agree with whole texts, and keeps a bounded cache.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { ModelError } from "../errors.ts";
import { pieceBytes, type TextStream, textStream } from "./text_stream.ts";
import { encodeSegments, type SegmentEncoder, segmentStream, type TokenStream } from "./token_stream.ts";
import { ggufParts } from "./tokenizer_gguf.ts";
import { jsonParts } from "./tokenizer_json.ts";
import type { AddedToken, TokenizerParts } from "./tokenizer_parts.ts";

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
const END_TEXTS = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>", "</s>", "<end_of_turn>", "<|end|>"];

/**
 * Reads the tokenizer of a GGUF file from its metadata.
 * @throws {ModelError} when it is missing or of an unsupported kind.
 */
export function tokenizerFromGguf(metadata: ReadonlyMap<string, unknown>): Tokenizer {
  return makeTokenizer(ggufParts(metadata));
}

/**
 * Reads the tokenizer from the parsed `tokenizer.json` and `tokenizer_config.json` of a Hugging Face folder.
 * @throws {ModelError} when it is incomplete or of an unsupported kind.
 */
export function tokenizerFromJson(tokenizerJson: unknown, tokenizerConfig: unknown): Tokenizer {
  return makeTokenizer(jsonParts(tokenizerJson, tokenizerConfig));
}

function makeTokenizer(parts: TokenizerParts): Tokenizer {
  const encodeSegment = cachedEncoder(openLibrary(parts));
  const plain = (text: string): number[] => encodeSegments(text, encodeSegment);
  const byContent = new Map(parts.added.map((token) => [token.content, token]));
  const controlIds = new Set(parts.added.filter((token) => token.control).map((token) => token.id));
  const addedIds = new Set(parts.added.map((token) => token.id));
  const anyAdded = addedPattern(parts.added);
  const noBytes = new Uint8Array(0);

  function encodeTemplate(text: string): number[] {
    const sections = anyAdded === null ? [text] : text.split(anyAdded);
    // split() with one group alternates: text, added token, text, ...
    return sections.flatMap((section, i) => {
      if (i % 2 === 1) return [byContent.get(section)!.id];
      const before = i > 0 ? byContent.get(sections[i - 1]!) : undefined;
      const after = i + 1 < sections.length ? byContent.get(sections[i + 1]!) : undefined;
      let ordinary = after?.lstrip ? section.trimEnd() : section;
      if (before?.rstrip) ordinary = ordinary.trimStart();
      if (ordinary === "") return [];
      const addSpace = before !== undefined &&
        (parts.spaceAfterAdded === "always" || (parts.spaceAfterAdded === "missing" && !ordinary.startsWith(" ")));
      return plain(addSpace ? " " + ordinary : ordinary);
    });
  }

  function bytesOf(id: number): Uint8Array {
    const piece = parts.pieces[id];
    if (piece === undefined || controlIds.has(id)) return noBytes;
    return addedIds.has(id) ? new TextEncoder().encode(piece) : pieceBytes(piece, parts.spelling);
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
    stream: () => segmentStream(encodeSegment),
    textStream: () => textStream(bytesOf, parts.spelling === "sentencePiece"),
  };
}

/** Pattern with one group that finds added tokens, the longest first; null without any. */
function addedPattern(added: readonly AddedToken[]): RegExp | null {
  const contents = added.map((token) => token.content).filter((content) => content !== "");
  if (contents.length === 0) return null;
  const escaped = contents.sort((a, b) => b.length - a.length).map((text) =>
    text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&")
  );
  return new RegExp(`(${escaped.join("|")})`, "g");
}

function openLibrary(parts: TokenizerParts): Library {
  let library: Library;
  try {
    library = new Library({ ...parts.pipeline, added_tokens: [], post_processor: null, decoder: null }, {});
  } catch (error) {
    throw new ModelError(`Cannot build the model's tokenizer: ${(error as Error).message}`, { cause: error });
  }
  // Out of the vocabulary, so that no text can become them, whatever its merges spell.
  const model = library.model!;
  for (const { content, control } of parts.added) {
    if (control && content !== model.unk_token) model.tokens_to_ids.delete(content);
  }
  return library;
}

/** Segments up to this many code units are remembered: words with their punctuation. */
const CACHED_LENGTH = 32;
const CACHE_ENTRIES = 1 << 16;

function cachedEncoder(library: Library): SegmentEncoder {
  const cache = new Map<string, readonly number[]>();
  return (text, start, end, ids) => {
    const segment = text.slice(start, end);
    let found = cache.get(segment);
    if (found === undefined) {
      found = library.encode(segment, { add_special_tokens: false }).ids;
      if (segment.length <= CACHED_LENGTH) {
        if (cache.size >= CACHE_ENTRIES) cache.clear();
        cache.set(ownCopy(segment), found);
      }
    }
    // Not push(...found): a long segment would be too many arguments.
    for (const id of found) ids.push(id);
  };
}

/** The same string in memory of its own: a slice would keep the whole piece of the document it was cut from. */
function ownCopy(text: string): string {
  const codes = Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  return String.fromCharCode(...codes);
}
