/**
 * What a model thinks before it answers (`<think> … </think>`) is no part of the answer. Prompts ask for none (`prompt.ts`); a
 * model that thinks all the same is not heard.
 */
import type { TextStream } from "./text_stream.ts";

/** Marks of thinking: Qwen's, DeepSeek's and SmolLM's; Mistral's. */
const MARKS = [["<think>", "</think>"], ["[THINK]", "[/THINK]"]] as const;

/** What closes the section that a prompt leaves open at its end; "" where none is open. */
export function closeThinking(prompt: string): string {
  const written = prompt.trimEnd();
  const marks = MARKS.find(([open]) => written.endsWith(open));
  return marks === undefined ? "" : `${prompt.endsWith("\n") ? "" : "\n"}\n${marks[1]}\n\n`;
}

/**
 * The answer in a model's text: sections of thinking at its beginning are left out, and the white space after them. Later ones are the
 * answer's own words: a model may be asked about such marks. A section that is never closed hides all.
 */
export function withoutThinking(stream: TextStream): TextStream {
  /** Text that may yet become a mark; null once the answer has begun. */
  let held: string | null = "", closing: string | null = null, hidden = false;

  const heard = (text: string): string => {
    if (held === null) return text;
    held += text;
    while (true) {
      if (closing !== null) {
        const end = held.indexOf(closing);
        if (end < 0) {
          held = held.slice(-(closing.length - 1));
          return "";
        }
        held = held.slice(end + closing.length);
        closing = null;
        hidden = true;
      }
      const words: string = held.trimStart();
      // A closing mark alone ends what the prompt left open.
      const stray = MARKS.find(([, close]) => words.startsWith(close))?.[1];
      const marks = MARKS.find(([open]) => words.startsWith(open));
      if (marks === undefined && stray === undefined) break;
      held = words.slice((stray ?? marks![0]).length);
      closing = stray === undefined ? marks![1] : null;
      hidden = true;
    }
    const words = held.trimStart();
    if (MARKS.flat().some((mark) => mark.startsWith(words))) return "";
    const answer = hidden ? words : held;
    held = null;
    return answer;
  };

  return {
    push: (id) => heard(stream.push(id)),
    finish() {
      const last = heard(stream.finish());
      // What could have become a mark and did not is the answer's.
      const rest = held === null || closing !== null || hidden && held.trim() === ""
        ? ""
        : hidden
        ? held.trimStart()
        : held;
      held = "";
      closing = null;
      hidden = false;
      return last + rest;
    },
  };
}
