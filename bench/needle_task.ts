/** A needle task: a stretch of real prose into which facts of one form are put at random depths, and a question for one of them. */
import type { Tokenizer } from "../core/text/tokenizer.ts";
import { random } from "./prose.ts";

const ADJECTIVES =
  "happy quiet brave golden silver crimson gentle frozen rapid ancient hollow bright stormy humble polished curious"
    .split(" ");
const NOUNS =
  "kangaroo lantern mountain engine harbour violin garden compass thunder pillow bishop candle saddle walnut ladder basket"
    .split(" ");

export interface Task {
  document: string;
  question: string;
  /** First words of the answer, as RULER's protocol gives them; for those who want them. */
  opening: string;
  value: string;
  /** Place of the wanted needle, 0 to 1. */
  depth: number;
}

/**
 * One document of `tokens` tokens, of which the needles are part.
 * @param prose ids to take a stretch of
 * @param seed the same one gives the same task
 */
export function makeTask(tokenizer: Tokenizer, prose: number[], tokens: number, keys: number, seed: number): Task {
  const next = random(seed), choose = <T>(list: T[]): T => list[Math.floor(next() * list.length)]!;
  const encode = (text: string) => tokenizer.encode(text, { control: false });
  const names = new Set<string>();
  while (names.size < keys) names.add(`${choose(ADJECTIVES)}-${choose(NOUNS)}`);
  const facts = [...names].map((name) => ({ name, value: String(Math.floor(1e6 + next() * 9e6)), depth: next() }));
  const needles = facts.map(({ name, value }) => ` One of the special magic numbers for ${name} is: ${value}.`);
  const length = tokens - needles.reduce((sum, needle) => sum + encode(needle).length, 0);
  const from = Math.floor(next() * (prose.length - length));
  const stream = tokenizer.textStream();
  const text = prose.slice(from, from + length).map((id) => stream.push(id)).join("") + stream.finish();
  const pieces = text.split(/(?<=[.!?;,])(?=\s)/);
  const document = pieces.map((piece, i) =>
    facts.map(({ depth }, n) => Math.floor(depth * pieces.length) === i ? needles[n] : "").join("") + piece
  ).join("");
  const wanted = choose(facts);
  const question = `What is the special magic number for ${wanted.name} mentioned in the text above?`;
  const opening = `The special magic number for ${wanted.name} mentioned in the text is`;
  return { document, question, opening, value: wanted.value, depth: wanted.depth };
}

/** Seed of one document of a run: the same for every program that is compared. */
export const documentSeed = (seed: number, document: number, keys: number): number =>
  seed * 1_000_003 + document * 17 + keys;
