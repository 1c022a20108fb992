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
 * The question with the passages before it; the question alone where there are none. No list: after one, a small model goes on with the list instead of
 * answering.
 */
export function withPassages(passages: string[], question: string): string {
  if (passages.length === 0) return question;
  return `Passages from the text above:\n\n${passages.map((text) => `"…${text}…"`).join("\n\n")}\n\n${question}`;
}
