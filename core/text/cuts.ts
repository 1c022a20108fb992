/** Where a tokenizer lets text be cut into segments: where it splits words anyway, else where no piece of its vocabulary lies across. */
import type { Cuts } from "./token_stream.ts";
import type { Spelling } from "./text_stream.ts";

/** @param split what the tokenizer splits a text into before it looks for pieces */
export function cutsOf(pieces: Iterable<string>, spelling: Spelling, split: (text: string) => readonly string[]): Cuts {
  const splitsSpaces = splitsAt("x x", 1, split), splitsLines = splitsAt("x\nx", 2, split);
  if (splitsSpaces && splitsLines) return { beforeSpace: () => true, afterLineFeed: true };
  if (spelling === "byteLevel") return { beforeSpace: () => splitsSpaces, afterLineFeed: splitsLines };
  /** Code units that some piece has before a space. */
  const joined = new Set<number>();
  let afterLineFeed = true;
  for (const piece of pieces) {
    for (let at = piece.indexOf("▁", 1); at > 0; at = piece.indexOf("▁", at + 1)) joined.add(piece.charCodeAt(at - 1));
    if (afterLineFeed && piece.includes("\n")) afterLineFeed = /^[^\n]*\n+$/.test(piece);
  }
  return { beforeSpace: (code) => splitsSpaces || !joined.has(code), afterLineFeed: splitsLines || afterLineFeed };
}

function splitsAt(text: string, at: number, split: (text: string) => readonly string[]): boolean {
  let end = 0;
  return split(text).some((part) => (end += part.length) === at);
}
