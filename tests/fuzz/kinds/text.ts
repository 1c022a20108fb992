/** Documents of any bytes, in any pieces; and the lines of a file of tasks. */
import { parseTasksFile } from "../../../core/eval/tasks_file.ts";
import { type Kind, Wrong } from "../kind.ts";
import { mutatedBytes, mutatedJson, mutatedText, spelledJson } from "../mutate.ts";
import type { Random } from "../random.ts";
import { readDocument, TEXTS } from "../use.ts";

export const document: Kind = {
  name: "document",
  share: 8,
  codes: [3],
  prepare: () =>
    Promise.resolve(async (random) => {
      const bytes = someBytes(random), whole = await readDocument(bytes, bytes.length + 1);
      const inPieces = await readDocument(bytes, 1 + random.below(random.pick([3, 200, 9000])));
      if (whole.text !== inPieces.text) throw new Wrong("a document in pieces reads otherwise than in one");
      if (whole.refusal) throw whole.refusal;
      return true;
    }),
};

function someBytes(random: Random): Uint8Array {
  const text = random.pick(TEXTS).repeat(random.pick([1, 1, 40])), encoder = new TextEncoder();
  const wide = (little: boolean) => {
    const out = new DataView(new ArrayBuffer(2 + 2 * text.length));
    out.setUint16(0, 0xfeff, little);
    for (let i = 0; i < text.length; i++) out.setUint16(2 + 2 * i, text.charCodeAt(i), little);
    return new Uint8Array(out.buffer);
  };
  const bytes = random.pick([
    () => encoder.encode(text),
    () => encoder.encode(`\ufeff${text}`),
    () => wide(true),
    () => wide(false),
    () => Uint8Array.from({ length: random.below(300) }, () => random.below(256)),
    () =>
      Uint8Array.from(
        { length: random.below(9) },
        () => random.pick([0xff, 0xfe, 0xef, 0xbb, 0xbf, 0xbd, 0xd8, 0, 32]),
      ),
  ])();
  return random.chance(0.7) ? mutatedBytes(random, bytes) : bytes;
}

const LINE = {
  context: "A text. ".repeat(9),
  question: "Why?",
  answer_prefix: "Because",
  answer: ["x", 5],
  max_new_tokens: 9,
  task: "niah",
  metric: "classification",
  all_classes: ["a", "b"],
};

export const tasks: Kind = {
  name: "tasks",
  share: 2,
  codes: [3],
  prepare: () =>
    Promise.resolve((random) => {
      const lines = Array.from({ length: 1 + random.below(3) }, () => spelledJson(random, mutatedJson(random, LINE)));
      const text = lines.join(random.pick(["\n", "\r\n", "\n\n"]));
      parseTasksFile(random.chance(0.2) ? mutatedText(random, text) : text, "t.jsonl");
      return Promise.resolve(true);
    }),
};
