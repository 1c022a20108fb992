/** What the two file formats must say about a tokenizer. */
import type { Spelling } from "./text_stream.ts";

/** A token that is matched in templates before anything else. */
export interface AddedToken {
  id: number;
  content: string;
  /** A control token steers the model and never stands for text; others (`<tool_call>`) are printed. */
  control: boolean;
  /** Takes the white space before (after) it away. */
  lstrip?: boolean;
  rstrip?: boolean;
}

/** What the two file formats must say about a tokenizer. */
export interface TokenizerParts {
  /** `normalizer`, `pre_tokenizer` and `model` of a tokenizer.json, none of which may put anything before a text. */
  pipeline: { normalizer: object | null; pre_tokenizer: object | null; model: object };
  spelling: Spelling;
  /** Text of every id; missing entries are holes in the vocabulary. */
  pieces: readonly (string | undefined)[];
  added: readonly AddedToken[];
  /** Whether text after an added token gets a space before it: always, or unless it has one. */
  spaceAfterAdded: "always" | "missing" | "never";
  /** Ids named as end of text, of turn or of message. */
  endIds: readonly number[];
  chatTemplate: string | null;
  bosToken: string;
  eosToken: string;
  addBos: boolean;
}
