/** What the two file formats must say about a tokenizer. */
import type { NormalizerStep } from "./normalizer.ts";
import type { SplitStep } from "./pre_tokenizer.ts";
import type { Spelling } from "./text_stream.ts";

/** A token that is matched in templates before anything else. */
export interface AddedToken {
  id: number;
  content: string;
  /** A control token steers the model and never stands for text; others (`<tool_call>`) are printed. */
  control: boolean;
  /**
   * Documents become it too: a piece of text that SentencePiece never splits (runs of line feeds, `<table>`). All other added
   * tokens came after the vocabulary was learned, and text that spells one is made of ordinary tokens.
   */
  text: boolean;
  /** Takes the white space before (after) it away. */
  lstrip?: boolean;
  rstrip?: boolean;
}

/** Byte pair encoding. */
export interface BytePairs {
  type: "BPE";
  /** Merges in order of preference, `[left, right]` or `left right` each; or null: what `scores` prefer. */
  merges: readonly (string | readonly [string, string])[] | null;
  /** By id, when there are no merges. */
  scores?: ArrayLike<number>;
  /** A whole word of the vocabulary is taken without merging. */
  wholeWords: boolean;
}

/** The spelling with the largest sum of scores, by id. */
export interface UnigramScores {
  type: "Unigram";
  scores: ArrayLike<number>;
}

/** What the two file formats must say about a tokenizer. */
export interface TokenizerParts {
  /** `normalizer` of a tokenizer.json. */
  normalizer: NormalizerStep | null;
  /** `pre_tokenizer` of a tokenizer.json, which leaves spelling bytes to `spelling`; none: a text is one word. */
  preTokenizer: readonly SplitStep[];
  model: BytePairs | UnigramScores;
  spelling: Spelling;
  /** SentencePiece: characters without a piece become bytes, where the vocabulary has them. */
  byteFallback: boolean;
  /** What a character becomes that has neither piece nor bytes; null: nothing. */
  unknownId: number | null;
  /** Whether several such characters in a row become one. */
  fuseUnknown: boolean;
  /** Text of every id; missing entries are holes in the vocabulary. */
  pieces: readonly (string | undefined)[];
  added: readonly AddedToken[];
  /** Whether text after an added token gets a space before it: always, or unless it has one. */
  spaceAfterAdded: "always" | "missing" | "never";
  /** Whether the model writes a space before the first word, which is no part of the text. */
  spaceBeforeText: boolean;
  /** Ids named as end of text, of turn or of message. */
  endIds: readonly number[];
  chatTemplate: string | null;
  bosToken: string;
  eosToken: string;
  addBos: boolean;
}

/** Code units of the longest added token, and of a piece that Unigram looks for at every place of a text. Those in use have up to 64. */
export const LONGEST_TOKEN = 256;

/** Tokens that the converters of GGUF take for control tokens, whatever a tokenizer.json says. */
export function looksLikeControl(content: string): boolean {
  return /^(?:<\|.*\|>|<｜.*｜>|<unused.*>|<pad>|<mask>|<2mass>|\[@BOS@\])$/s.test(content);
}

/** Pieces of text among SentencePiece's own added tokens: white space and HTML's tags. No other may come from a document. */
export function looksLikeText(content: string): boolean {
  return /^(?:[ ▁\t\n\r]+|<\/?[a-z]+[1-6]?>)$/.test(content);
}
