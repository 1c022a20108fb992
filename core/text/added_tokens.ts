/** Finds added tokens in a text: the leftmost, of those that start there the longest. */
import { ModelError } from "../errors.ts";
import { type AddedToken, LONGEST_TOKEN } from "./tokenizer_parts.ts";

/** Cuts a text into what stands between added tokens and the tokens themselves; parts without a character are left out. */
export type AddedTokenSplitter = (text: string) => (string | AddedToken)[];

export function addedTokenSplitter(added: readonly AddedToken[]): AddedTokenSplitter {
  const byContent = new Map<string, AddedToken>();
  for (const token of added) if (token.content !== "") byContent.set(token.content, token);
  if (byContent.size === 0) return (text) => text === "" ? [] : [text];
  /** Lengths of the tokens that begin with a code unit, the longest first. */
  const lengths = new Map<number, number[]>();
  for (const content of byContent.keys()) {
    if (content.length > LONGEST_TOKEN) {
      throw new ModelError(
        `Cannot use the model's tokenizer: its added token ${JSON.stringify(content.slice(0, 40))}… has ` +
          `${content.length} characters; up to ${LONGEST_TOKEN} work`,
      );
    }
    const first = content.charCodeAt(0), known = lengths.get(first);
    if (known === undefined) lengths.set(first, [content.length]);
    else if (!known.includes(content.length)) known.push(content.length);
  }
  for (const known of lengths.values()) known.sort((a, b) => b - a);

  return (text) => {
    const parts: (string | AddedToken)[] = [];
    let start = 0;
    for (let at = 0; at < text.length;) {
      const token = tokenAt(text, at);
      if (token === undefined) {
        at++;
        continue;
      }
      if (at > start) parts.push(text.slice(start, at));
      parts.push(token);
      at += token.content.length;
      start = at;
    }
    if (start < text.length) parts.push(text.slice(start));
    return parts;
  };

  function tokenAt(text: string, at: number): AddedToken | undefined {
    for (const length of lengths.get(text.charCodeAt(at)) ?? []) {
      const token = byContent.get(text.slice(at, at + length));
      if (token !== undefined) return token;
    }
    return undefined;
  }
}
