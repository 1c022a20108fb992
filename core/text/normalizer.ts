/** The normalizers of a tokenizer.json that rewrite a text without regard to what stands around it. */
import { ReplaceNormalizer } from "@huggingface/tokenizers";
import { ModelError } from "../errors.ts";

/** A step of a tokenizer.json's `normalizer`. */
export interface NormalizerStep {
  type: string;
  normalizers?: NormalizerStep[];
}

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

/**
 * Characters of Unicode 10 to 17 that normalizing changes or moves. Hugging Face's normalizer, which models were trained with, has an
 * older table and leaves them where they stand; JavaScript engines differ in which they know. They were found by comparing all
 * characters (`bench/tokenizers/README.md`).
 */
const LATE = new RegExp(
  String
    .raw`([\u07fd\u0897-\u089f\u08ca-\u08d3\u09fe\u0c3c\u0d3b-\u0d3c\u0eba\u1715\u1abf-\u1add\u1ae0-\u1aeb\u1df6-\u1dfa` +
    String
      .raw`\u32ff\ua7f1-\ua7f4\ua82c\uab69\u{105c9}\u{105d2}\u{105da}\u{105e4}\u{10781}-\u{10785}\u{10787}-\u{107b0}` +
    String.raw`\u{107b2}-\u{107ba}\u{10d24}-\u{10d27}\u{10d69}-\u{10d6d}\u{10eab}-\u{10eac}\u{10efa}-\u{10efb}` +
    String
      .raw`\u{10efd}-\u{10eff}\u{10f46}-\u{10f50}\u{10f82}-\u{10f85}\u{11070}\u{1133b}\u{11382}-\u{11385}\u{1138b}` +
    String.raw`\u{1138e}\u{11390}-\u{11391}\u{113b8}\u{113bb}\u{113c2}\u{113c5}\u{113c7}-\u{113c9}\u{113ce}-\u{113d0}` +
    String.raw`\u{1145e}\u{11839}-\u{1183a}\u{11930}\u{11935}\u{11938}\u{1193d}-\u{1193e}\u{11943}\u{119e0}\u{11a34}` +
    String.raw`\u{11a47}\u{11a99}\u{11d42}\u{11d44}-\u{11d45}\u{11d97}\u{11f41}-\u{11f42}\u{1611e}-\u{16129}\u{1612f}` +
    String.raw`\u{16d63}\u{16d67}-\u{16d6a}\u{16ff0}-\u{16ff1}\u{1ccd6}-\u{1ccf9}\u{1e030}-\u{1e06d}\u{1e08f}` +
    String
      .raw`\u{1e130}-\u{1e136}\u{1e2ae}\u{1e2ec}-\u{1e2ef}\u{1e4ec}-\u{1e4ef}\u{1e5ee}-\u{1e5ef}\u{1e6e3}\u{1e6e6}` +
    String.raw`\u{1e6ee}-\u{1e6ef}\u{1e6f5}\u{1f16c}\u{1fbf0}-\u{1fbf9}]+)`,
  "u",
);

function normalized(text: string, form: string): string {
  // Every other part consists of such characters.
  return text.split(LATE).map((part, i) => i % 2 === 1 ? part : part.normalize(form)).join("");
}
