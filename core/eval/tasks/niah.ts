/**
 * Needles in a haystack, as RULER makes them (arXiv 2404.06654, scripts/synthetic.yaml and its templates): "One of the special magic numbers for KEY is:
 * VALUE." is hidden in a text, and the question asks for a key's values. Differs: the prose is the user's, the keys are our words, and there is no
 * worked example before the document.
 */
import { depths, fill, type Haystack, hide, type Needle } from "../haystack.ts";
import { distinct, type Random, seeded, shuffled } from "../random.ts";
import type { Sample, Task } from "../task.ts";
import { key, sevenDigits, uuid } from "../words.ts";

/** RULER's `type_haystack`, `type_needle_*` and `num_needle_*`. */
export interface NiahShape {
  name: string;
  summary: string;
  haystack: "noise" | "prose" | "needles";
  keys: "words" | "uuids";
  values: "numbers" | "uuids";
  /** Keys that are hidden; haystacks of needles have more. */
  keyCount?: number;
  valuesPerKey?: number;
  /** Keys that are asked for. */
  queryCount?: number;
}

/** One sentence group of RULER's noise haystack. */
const NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again.";

const sentence = (kind: string, name: string, value: string) =>
  `One of the special magic ${kind} for ${name} is: ${value}.`;

export function niah(shape: NiahShape): Task {
  const { name, summary, haystack: kind, values, valuesPerKey = 1, queryCount = 1 } = shape;
  const keyCount = Math.max(shape.keyCount ?? 1, queryCount);
  const single = valuesPerKey * queryCount === 1;
  return {
    name,
    summary,
    needsProse: kind === "prose",
    make(haystack, tokens, seed): Sample {
      const next = seeded(seed);
      const makeKey = () => shape.keys === "uuids" ? uuid(next) : key(next);
      const makeValue = () => values === "uuids" ? uuid(next) : sevenDigits(next);
      const names = distinct(keyCount, makeKey), hidden = distinct(keyCount * valuesPerKey, makeValue);
      const places = depths(next, hidden.length);
      const needles: Needle[] = hidden.map((value, i) => ({
        text: sentence(values, names[Math.floor(i / valuesPerKey)]!, value),
        depth: places[i]!,
      }));
      const asked = shuffled(next, names.map((_, i) => i)).slice(0, queryCount);
      const wanted = asked.flatMap((i) => Array.from({ length: valuesPerKey }, (_, v) => i * valuesPerKey + v));

      // RULER's grammar: singular where one value is asked for
      const what = single ? values.slice(0, -1) : values, be = single ? "is" : "are";
      const intro = single
        ? `A special magic ${what} is hidden within the following text.`
        : `Some special magic ${what} are hidden within the following text.`;
      const head = `${intro} Make sure to memorize it. I will quiz you about the ${what} afterwards.\n`;
      const query = list(asked.map((i) => names[i]!));
      const room = tokens - haystack.count(head);
      return {
        task: name,
        context: head + text(haystack, room, next, kind, needles, () => sentence(values, makeKey(), makeValue())),
        question: `What ${
          single ? "is the" : "are all the"
        } special magic ${what} for ${query} mentioned in the provided text?`,
        answerPrefix: `The special magic ${what} for ${query} mentioned in the provided text ${be}`,
        answers: wanted.map((i) => hidden[i]!),
        maxNewTokens: 128,
        metric: "all",
        ...(single ? { depth: needles[wanted[0]!]!.depth } : {}),
        seed,
      };
    },
  };
}

/** "a", "a, and b", "a, b, and c": RULER's way to list the keys asked for. */
const list = (names: string[]) =>
  names.length === 1 ? names[0]! : `${names.slice(0, -1).join(", ")}, and ${names.at(-1)}`;

function text(
  haystack: Haystack,
  tokens: number,
  next: Random,
  kind: NiahShape["haystack"],
  needles: Needle[],
  another: () => string,
): string {
  const own = needles.reduce((sum, needle) => sum + haystack.count(` ${needle.text}`), 0);
  if (kind === "prose") return hide(haystack.prose(tokens - own, next), needles);
  // both other haystacks are lines among which the needles stand
  const lines: string[] = [];
  const line = (i: number) => lines[i] ??= kind === "noise" ? NOISE : another();
  const { n } = fill(haystack, tokens - own, (n) => Array.from({ length: n }, (_, i) => line(i)).join("\n"));
  const whole = lines.slice(0, n).map((text) => ({ text, needle: false }));
  for (const { text, depth } of needles.toSorted((a, b) => b.depth - a.depth)) {
    whole.splice(Math.round(depth * n), 0, { text, needle: true });
  }
  return whole.map(({ text }) => text).join("\n");
}

const words = "words" as const, numbers = "numbers" as const, uuids = "uuids" as const;

export const niahTasks: Task[] = [
  niah({
    name: "niah_single_1",
    summary: "one number in repeated noise",
    haystack: "noise",
    keys: words,
    values: numbers,
  }),
  niah({ name: "niah_single_2", summary: "one number in prose", haystack: "prose", keys: words, values: numbers }),
  niah({ name: "niah_single_3", summary: "one UUID in prose", haystack: "prose", keys: words, values: uuids }),
  niah({
    name: "niah_multikey_1",
    summary: "one of four numbers in prose, told by its key",
    haystack: "prose",
    keys: words,
    values: numbers,
    keyCount: 4,
  }),
  niah({
    name: "niah_multikey_2",
    summary: "one number in a text of nothing but such sentences",
    haystack: "needles",
    keys: words,
    values: numbers,
  }),
  niah({
    name: "niah_multikey_3",
    summary: "one UUID told by a UUID in a text of nothing but such sentences",
    haystack: "needles",
    keys: uuids,
    values: uuids,
  }),
  niah({
    name: "niah_multivalue",
    summary: "all four numbers of one key in prose",
    haystack: "prose",
    keys: words,
    values: numbers,
    valuesPerKey: 4,
  }),
  niah({
    name: "niah_multiquery",
    summary: "four numbers of four keys in prose, asked for at once",
    haystack: "prose",
    keys: words,
    values: numbers,
    queryCount: 4,
  }),
];
