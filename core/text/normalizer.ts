/** The normalizers of a tokenizer.json that rewrite a text without regard to what stands around it. */
import { shown } from "../engine/gguf/values.ts";
import { ModelError } from "../errors.ts";
import { type Matches, matchesOf } from "./pattern.ts";
import { LATE_MARKS } from "./unicode.ts";

/** A step of a tokenizer.json's `normalizer`. */
export interface NormalizerStep {
  type: string;
  normalizers?: NormalizerStep[];
}

/** SentencePiece's vocabularies spell a space so. */
export const SPACES_AS_PIECES = { type: "Replace", pattern: { String: " " }, content: "▁" };

/** A `Replace` as files may spell it. */
type Replacement = NormalizerStep & { pattern?: { String?: unknown; Regex?: unknown }; content?: unknown };

/** Steps within steps, all together; a text may become this times as long. */
const MAX_STEPS = 64, MAX_GROWTH = 64;

const FORMS = ["NFC", "NFD", "NFKC", "NFKD"];

/**
 * @param step null: text stays as it is. `Prepend` is left out: documents are tokenized segment by segment
 * @throws {ModelError} for a step that cannot be followed exactly
 */
export function normalizerOf(step: NormalizerStep | null | undefined): (text: string) => string {
  const steps = flat(step).map(single);
  return (text) => steps.reduce((all, normalize) => normalize(all, MAX_GROWTH * text.length), text);
}

/** Rewrites a text. @param most code units that it may become, where it could become any number */
type Normalize = (text: string, most: number) => string;

function flat(step: NormalizerStep | null | undefined): NormalizerStep[] {
  if (step === null || step === undefined || step.type === "Prepend") return [];
  const steps = step.type === "Sequence" ? (step.normalizers ?? []).flatMap(flat) : [step];
  if (steps.length > MAX_STEPS) {
    throw new ModelError(`Cannot use the model's tokenizer: its normalizer has more than ${MAX_STEPS} steps`);
  }
  return steps;
}

function single(step: NormalizerStep): Normalize {
  if (FORMS.includes(step.type)) return (text) => normalized(text, step.type);
  if (step.type === "Replace") return replace(step);
  throw new ModelError(
    `Cannot use the model's tokenizer: its normalizer ${
      JSON.stringify(step.type).slice(0, 80)
    } cannot be followed exactly; ` +
      `${FORMS.join(", ")}, Replace and Prepend work`,
  );
}

function tooLong(): ModelError {
  return new ModelError(
    `Cannot use the model's tokenizer: its normalizer makes more than ${MAX_GROWTH} characters of one`,
  );
}

function replace({ pattern, content = "" }: Replacement): Normalize {
  if (typeof content === "string" && typeof pattern?.String === "string" && pattern.String !== "") {
    const { String: found } = pattern;
    return (text, most) => joined(text.split(found), content, most);
  }
  if (typeof content === "string" && typeof pattern?.Regex === "string") {
    const matches = matchesOf(pattern.Regex);
    return (text, most) => joined(between(matches, text), content, most);
  }
  throw new ModelError(
    `Cannot use the model's tokenizer: its normalizer replaces ${shown(pattern)} by ${
      shown(content)
    }; a text or a regular expression, and a text in its place, work`,
  );
}

/** With a text between each two parts. */
function joined(parts: readonly string[], content: string, most: number): string {
  if ((parts.length - 1) * content.length > most) throw tooLong();
  return parts.join(content);
}

function between(matches: Matches, text: string): string[] {
  const parts: string[] = [];
  let before = 0;
  for (const { start, end } of matches(text)) {
    parts.push(text.slice(before, start));
    before = end;
  }
  return [...parts, text.slice(before)];
}

function normalized(text: string, form: string): string {
  // Every other part consists of such characters.
  return text.split(LATE_MARKS).map((part, i) => i % 2 === 1 ? part : part.normalize(form)).join("");
}
