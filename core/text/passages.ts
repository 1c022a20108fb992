/** Passages of the document as text, put before the question. */
import type { Passage } from "../policy.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** What a reader sees of a passage: its words, with "…" where something is missing. */
export function passageText(tokenizer: Pick<Tokenizer, "textStream">, { pieces }: Passage): string {
  return pieces.map(({ tokens }) => {
    const stream = tokenizer.textStream();
    return (tokens.map((id) => stream.push(id)).join("") + stream.finish()).replace(/\uFFFD/g, "");
  }).join(" … ").replace(/\s+/g, " ").trim();
}

/**
 * What stands between the document and the question; empty where there are no passages. The words matter (CHANGELOG, what was learned): in a list, a small
 * model goes on with the list; called "passages", it describes them; after "The text says:", it may say that again instead of an answer.
 */
export function passageBlock(passages: string[]): string {
  if (passages.length === 0) return "";
  return `\n\nFrom the text: ${passages.map((text) => `"…${text}…"`).join("\n\n")}`;
}
