/** Text in columns that fit a terminal. */
import process from "node:process";
import { isTerminal } from "./output.ts";

/** Columns of the terminal that stdout is; unbounded where it is none: a pipe gets whole lines. */
export function terminalWidth(): number {
  return isTerminal.stdout() ? process.stdout.columns || 80 : Infinity;
}

/** Fewest columns that a text gets, on however narrow a terminal. */
const LEAST = 20;

/**
 * `text` behind `label`, its further lines indented to where it begins.
 * @param indent columns of the label, which is filled up to it
 * @param width columns of the terminal; Infinity: one line
 */
export function hanging(label: string, text: string, indent: number, width: number): string[] {
  const room = Math.max(LEAST, width - indent), lines = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1)!;
    if (last === "") lines[lines.length - 1] = word;
    else if (last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.map((line, i) => (i === 0 ? label : "").padEnd(indent) + line);
}
