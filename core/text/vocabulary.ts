/** Ids of words: what stands behind splitting a text into them. */
import { type Merge, merger } from "./merge.ts";
import { listedPairs, NONE, scoredPairs } from "./pairs.ts";
import { characterOfByte } from "./text_stream.ts";
import type { BytePairs, TokenizerParts, UnigramScores } from "./tokenizer_parts.ts";
import { unigram } from "./unigram.ts";

/** Appends the ids of one word. */
export type WordEncoder = (word: string, ids: number[]) => void;

/** What a word encoder needs of the parts. */
type Vocabulary = Pick<TokenizerParts, "model" | "spelling" | "pieces" | "byteFallback" | "unknownId" | "fuseUnknown">;

/** @param ids of the pieces that text may become */
export function wordEncoder(vocabulary: Vocabulary, ids: ReadonlyMap<string, number>): WordEncoder {
  const { model } = vocabulary;
  if (model.type === "Unigram") return unigramWords(vocabulary, model, ids);
  return vocabulary.spelling === "byteLevel"
    ? byteLevelWords(vocabulary, model, ids)
    : sentencePieceWords(vocabulary, model, ids);
}

function mergerOf({ pieces }: Vocabulary, model: BytePairs, ids: ReadonlyMap<string, number>): Merge {
  return merger(model.merges ? listedPairs(model.merges, pieces, ids) : scoredPairs(model.scores!, pieces, ids));
}

/** A buffer that grows with the longest word, but does not stay large. */
function buffer<T extends Int32Array | Uint8Array>(make: (length: number) => T): (length: number) => T {
  const kept = make(1 << 12);
  return (length) => length <= kept.length ? kept : make(length);
}

/** Every byte is a piece, under a stand-in character. A byte that is none is left out. */
function byteLevelWords(vocabulary: Vocabulary, model: BytePairs, ids: ReadonlyMap<string, number>): WordEncoder {
  const merge = mergerOf(vocabulary, model, ids);
  const characters = Array.from({ length: 256 }, (_, byte) => characterOfByte(byte));
  const idOfByte = Int32Array.from(characters, (character) => ids.get(character) ?? NONE);
  const encoder = new TextEncoder(),
    bytesOf = buffer((n) => new Uint8Array(n)),
    idsOf = buffer((n) => new Int32Array(n));
  let longest = 0;
  if (model.wholeWords) { for (const piece of ids.keys()) longest = Math.max(longest, piece.length); }
  return (word, out) => {
    const bytes = bytesOf(3 * word.length);
    const { written } = encoder.encodeInto(word, bytes);
    if (written <= longest) {
      let spelled = "";
      for (let i = 0; i < written; i++) spelled += characters[bytes[i]!]!;
      const whole = ids.get(spelled);
      if (whole !== undefined) return void out.push(whole);
    }
    const symbols = idsOf(written);
    for (let i = 0; i < written; i++) symbols[i] = idOfByte[bytes[i]!]!;
    const count = merge(symbols, written);
    for (let i = 0; i < count; i++) if (symbols[i] !== NONE) out.push(symbols[i]!);
  };
}

/** Characters are pieces; one that is none becomes its bytes, or is unknown. */
function sentencePieceWords(vocabulary: Vocabulary, model: BytePairs, ids: ReadonlyMap<string, number>): WordEncoder {
  const merge = mergerOf(vocabulary, model, ids), idsOf = buffer((n) => new Int32Array(n));
  const { unknownId, fuseUnknown } = vocabulary;
  const bytesOf = byteFallback(vocabulary);
  return (word, out) => {
    if (model.wholeWords && ids.has(word)) return void out.push(ids.get(word)!);
    const symbols = idsOf(3 * word.length); // a code unit has three bytes at most
    let length = 0;
    for (const character of word) {
      const id = ids.get(character);
      if (id !== undefined) symbols[length++] = id;
      else for (const byte of bytesOf(character) ?? [NONE]) symbols[length++] = byte;
    }
    const count = merge(symbols, length);
    for (let i = 0; i < count; i++) {
      if (symbols[i] !== NONE) out.push(symbols[i]!);
      else if (unknownId !== null && !(fuseUnknown && i > 0 && symbols[i - 1] === NONE)) out.push(unknownId);
    }
  };
}

/** Ids of a text's bytes; null where the vocabulary lacks one. */
function byteFallback({ byteFallback, pieces }: Vocabulary): (text: string) => number[] | null {
  if (!byteFallback) return () => null;
  const idOfByte = new Array<number | undefined>(256);
  for (let id = 0; id < pieces.length; id++) {
    const piece = pieces[id];
    if (piece?.length !== 6 || !piece.startsWith("<0x")) continue;
    const byte = /^<0x([0-9A-F]{2})>$/.exec(piece);
    if (byte) idOfByte[parseInt(byte[1]!, 16)] = id;
  }
  const encoder = new TextEncoder();
  return (text) => {
    const ids: number[] = [];
    for (const byte of encoder.encode(text)) {
      const id = idOfByte[byte];
      if (id === undefined) return null;
      ids.push(id);
    }
    return ids;
  };
}

function unigramWords(vocabulary: Vocabulary, model: UnigramScores, ids: ReadonlyMap<string, number>): WordEncoder {
  const spell = unigram(ids, model.scores), bytesOf = byteFallback(vocabulary);
  const { unknownId, fuseUnknown } = vocabulary;
  return (word, out) => {
    let unknownBefore = false;
    spell(word, (id, start, end) => {
      if (id !== NONE) {
        out.push(id);
        unknownBefore = false;
        return;
      }
      const bytes = bytesOf(word.slice(start, end));
      if (bytes) out.push(...bytes);
      else if (unknownId !== null && !(fuseUnknown && unknownBefore)) out.push(unknownId);
      unknownBefore = bytes === null;
    });
  };
}
