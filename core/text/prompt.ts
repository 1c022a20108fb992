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
  { system, instruction }: PromptRequest,
): Prompt {
  const { bosToken, addBos } = tokenizer;
  const begin = (head: string) => addBos && !head.startsWith(bosToken) ? bosToken + head : head;
  if (tokenizer.chatTemplate === null) {
    return { head: begin(system ? `${system}\n\n` : ""), tail: `\n\n${instruction}\n` };
  }
  let mark = MARK;
  while (instruction.includes(mark) || system?.includes(mark)) mark += MARK;
  const user = `${mark}\n\n${instruction}`;

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
    rendered = render([...(system ? [{ role: "system", content: system }] : []), { role: "user", content: user }]);
  } catch (error) {
    if (!system || error instanceof UnboundedTemplate) throw error;
    rendered = render([{ role: "user", content: `${system}\n\n${user}` }]);
  }
  const parts = rendered.split(mark);
  if (parts.length !== 2) {
    throw new ModelError(
      `Cannot use the model's chat template: it shows the user's message ${parts.length - 1} times, exactly once works`,
    );
  }
  return { head: begin(parts[0]!), tail: parts[1]! + closeThinking(parts[1]!) };
}
