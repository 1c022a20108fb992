/** The normalizers of a tokenizer.json that rewrite a text without regard to what stands around it. */
import { ReplaceNormalizer } from "@huggingface/tokenizers";
import { ModelError } from "../errors.ts";
import { LATE_MARKS } from "./unicode.ts";

/** A step of a tokenizer.json's `normalizer`. */
export interface NormalizerStep {
  type: string;
  normalizers?: NormalizerStep[];
}

/** SentencePiece's vocabularies spell a space so. */
export const SPACES_AS_PIECES = { type: "Replace", pattern: { String: " " }, content: "▁" };

type Replacement = ConstructorParameters<typeof ReplaceNormalizer>[0];

const FORMS = ["NFC", "NFD", "NFKC", "NFKD"];

/**
 * @param step null: text stays as it is. `Prepend` is left out: documents are tokenized segment by segment
 * @throws {ModelError} for a step that cannot be followed exactly
 */
export function normalizerOf(step: NormalizerStep | null | undefined): (text: string) => string {
  if (step === null || step === undefined || step.type === "Prepend") return (text) => text;
  if (step.type === "Sequence") {
    const steps = (step.normalizers ?? []).map(normalizerOf);
    return (text) => steps.reduce((all, normalize) => normalize(all), text);
  }
  if (FORMS.includes(step.type)) return (text) => normalized(text, step.type);
  if (step.type === "Replace") {
    const replace = new ReplaceNormalizer(step as Replacement);
    return (text) => replace.normalize(text);
  }
  throw new ModelError(
    `Cannot use the model's tokenizer: its normalizer "${step.type}" cannot be followed exactly; ` +
      `${FORMS.join(", ")}, Replace and Prepend work`,
  );
}

function normalized(text: string, form: string): string {
  // Every other part consists of such characters.
  return text.split(LATE_MARKS).map((part, i) => i % 2 === 1 ? part : part.normalize(form)).join("");
}
