/** The text around the document: the model's own chat template, rendered once with a mark where the document goes. */
import { ModelError } from "../errors.ts";
import { chatTemplate, UnboundedTemplate } from "./template.ts";
import { closeThinking } from "./thinking.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Rendered text before and after the document. Both may spell control tokens; `head` begins with `bosToken` where the model expects it. */
export interface Prompt {
  head: string;
  tail: string;
}

/** What a prompt is made of. */
export interface PromptRequest {
  system?: string | undefined;
  /** The question or task; it follows the document. */
  instruction: string;
  /** What was asked and answered before it, in order. */
  turns?: readonly Turn[] | undefined;
}

export interface Turn {
  question: string;
  answer: string;
}

/** Private-use characters: no filter of a template (trim, upper, tojson, escape) changes them, and no text has them. */
const MARK = "\u{E0D1}\u{E0C5}\u{E0D2}";

/**
 * Renders system text, document and instruction with the model's chat template, up to where the answer starts. A model
 * without a template gets plain text. A template that refuses a system message gets it at the head of the user's. Models that can
 * think before they answer are asked not to: a document's reader waits long enough.
 * @throws {ModelError} when the template cannot be rendered or does not show the user's message exactly once.
 */
export function renderPrompt(
  tokenizer: Pick<Tokenizer, "chatTemplate" | "bosToken" | "eosToken"> & Partial<Pick<Tokenizer, "addBos">>,
  { system, instruction, turns = [] }: PromptRequest,
): Prompt {
  const { bosToken, addBos } = tokenizer;
  const begin = (head: string) => addBos && !head.startsWith(bosToken) ? bosToken + head : head;
  if (tokenizer.chatTemplate === null) {
    const before = turns.map(({ question, answer }) => `\n\n${question}\n${answer}`).join("");
    return { head: begin(system ? `${system}\n\n` : ""), tail: `${before}\n\n${instruction}\n` };
  }
  const said = turns.flatMap(({ question, answer }) => [question, answer]).concat(instruction);
  let mark = MARK;
  while (said.some((text) => text.includes(mark)) || system?.includes(mark)) mark += MARK;
  // the document stands before the first question; questions and answers alternate
  const user = `${mark}\n\n${said[0]}`;
  const later = said.slice(1).map((content, i) => ({ role: i % 2 === 0 ? "assistant" : "user", content }));

  const template = chatTemplate(tokenizer.chatTemplate);
  const render = (messages: { role: string; content: string }[]): string =>
    template({
      messages,
      add_generation_prompt: true,
      enable_thinking: false,
      bos_token: bosToken,
      eos_token: tokenizer.eosToken,
    });
  let rendered: string;
  try {
    rendered = render([
      ...(system ? [{ role: "system", content: system }] : []),
      { role: "user", content: user },
      ...later,
    ]);
  } catch (error) {
    if (!system || error instanceof UnboundedTemplate) throw error;
    rendered = render([{ role: "user", content: `${system}\n\n${user}` }, ...later]);
  }
  const parts = rendered.split(mark);
  if (parts.length !== 2) {
    throw new ModelError(
      `Cannot use the model's chat template: it shows the user's message ${parts.length - 1} times, exactly once works`,
    );
  }
  return { head: begin(parts[0]!), tail: parts[1]! + closeThinking(parts[1]!) };
}
