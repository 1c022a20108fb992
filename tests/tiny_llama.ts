/** The golden Llama, opened for tests: four layers, two KV heads, 512 tokens, random weights, quick. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { open, type OpenOptions } from "./golden/open.ts";
import type { ProbeTokenizer } from "../core/policy.ts";
import { fixture, randomNumbers } from "./host.ts";

export const TINY = fixture("golden/models/llama");

/** 300 different token ids. */
export const PROMPT: number[] = JSON.parse(readFileSync(join(TINY, "golden.json"), "utf8")).prompt_ids;

export const openTiny = (options: OpenOptions = {}) => open(TINY, options);

/** Any number of token ids, the same in every run. */
export function tokens(count: number, seed = 1): number[] {
  const random = randomNumbers(seed);
  return Array.from({ length: count }, () => 3 + Math.floor(random() * 509));
}

/** A token per character: the golden Llama has no tokenizer. Nothing stops it. */
export const fakeTokenizer: ProbeTokenizer = {
  encode: (text) => Array.from(text, (character) => 3 + character.codePointAt(0)! % 509),
  stopIds: new Set(),
};

/** Largest difference of two arrays of one length. */
export function difference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let worst = 0;
  for (let i = 0; i < a.length; i++) {
    const here = Math.abs(a[i]! - b[i]!);
    if (!(here <= worst)) worst = here; // NaN stays
  }
  return worst;
}
