/** A Hugging Face folder's `tokenizer.json` and `tokenizer_config.json` as the parts `tokenizer.ts` builds from. */
import { ModelError } from "../errors.ts";
import { BYTE_LEVEL, DIGIT, GPT2, splitBy } from "./tokenizer_patterns.ts";
import type { TokenizerParts } from "./tokenizer_parts.ts";

interface Step {
  type: string;
  normalizers?: Step[];
  pretokenizers?: Step[];
  decoders?: Step[];
  prepend_scheme?: string;
  individual_digits?: boolean;
  use_regex?: boolean;
}

interface TokenizerJson {
  added_tokens?: { id: number; content: string; special?: boolean; lstrip?: boolean; rstrip?: boolean }[];
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
  decoder?: Step | null;
  post_processor?: unknown;
  model?: { type?: string; vocab?: Record<string, number> | [string, number][] };
}

type TokenText = string | { content: string } | null;

interface TokenizerConfig {
  bos_token?: TokenText;
  eos_token?: TokenText;
  add_bos_token?: boolean;
  chat_template?: string | { name: string; template: string }[];
}

/** @throws {ModelError} when the tokenizer is not of a kind that writes text. */
export function jsonParts(tokenizerJson: unknown, tokenizerConfig: unknown): TokenizerParts {
  const json = tokenizerJson as TokenizerJson | null;
  const config = (tokenizerConfig ?? {}) as TokenizerConfig;
  const vocab = json?.model?.vocab;
  if (json?.model === undefined || vocab === undefined) {
    throw new ModelError("The model's tokenizer.json is incomplete: it has no model with a vocabulary");
  }
  const kind = json.model.type ?? (Array.isArray(vocab) ? "Unigram" : "BPE");
  if (kind !== "BPE" && kind !== "Unigram") {
    throw new ModelError(`Cannot use the model's tokenizer "${kind}": BPE and Unigram work`);
  }

  const pieces: (string | undefined)[] = [];
  const entries = Array.isArray(vocab) ? vocab.map(([piece], id) => [piece, id] as const) : Object.entries(vocab);
  for (const [piece, id] of entries) pieces[id] = piece;
  const added = (json.added_tokens ?? []).map(({ id, content, special, lstrip, rstrip }) => ({
    id,
    content,
    control: special ?? false,
    lstrip: lstrip ?? false,
    rstrip: rstrip ?? false,
  }));
  for (const { id, content } of added) pieces[id] = content;

  const eosToken = text(config.eos_token);
  const bosToken = text(config.bos_token);
  const steps = [...flatten(json.normalizer), ...flatten(json.pre_tokenizer)];
  const byteLevel = [...steps, ...flatten(json.decoder)].some((step) => step.type === "ByteLevel");
  return {
    pipeline: {
      normalizer: adapted(json.normalizer),
      pre_tokenizer: adapted(json.pre_tokenizer),
      // A byte without an entry is dropped: the unknown token is often `<|endoftext|>`, which no text may become.
      model: byteLevel ? { ...json.model, unk_token: null } : json.model,
    },
    spelling: byteLevel ? "byteLevel" : "sentencePiece",
    pieces,
    added,
    spaceAfterAdded: steps.some((step) => step.type === "Prepend")
      ? "always"
      : steps.some((step) => step.type === "Metaspace" && (step.prepend_scheme ?? "always") === "always")
      ? "missing"
      : "never",
    endIds: eosToken === "" ? [] : [pieces.indexOf(eosToken)].filter((id) => id >= 0),
    chatTemplate: chatTemplate(config.chat_template),
    bosToken,
    eosToken,
    addBos: config.add_bos_token ??
      (bosToken !== "" && JSON.stringify(json.post_processor ?? null).includes(JSON.stringify(bosToken))),
  };
}

function flatten(step: Step | null | undefined): Step[] {
  if (step === null || step === undefined) return [];
  return [step, ...[...step.normalizers ?? [], ...step.pretokenizers ?? [], ...step.decoders ?? []].flatMap(flatten)];
}

/**
 * The step as documents need it: it puts nothing before a text, since they are tokenized segment by segment, and digits
 * and white space are Unicode's, as in the original (the library takes JavaScript's in `Digits` and `ByteLevel`).
 */
function adapted(step: Step | null | undefined): Step | null {
  if (step === null || step === undefined || step.type === "Prepend") return null;
  const kept = (steps: Step[]) => steps.map(adapted).filter((inner) => inner !== null);
  if (step.normalizers) return { ...step, normalizers: kept(step.normalizers) };
  if (step.pretokenizers) return { ...step, pretokenizers: kept(step.pretokenizers) };
  if (step.type === "Metaspace") return { ...step, prepend_scheme: "never" };
  if (step.type === "Digits") return splitBy(step.individual_digits ? DIGIT : `${DIGIT}+`);
  if (step.type !== "ByteLevel") return step;
  return step.use_regex === false ? BYTE_LEVEL : { type: "Sequence", pretokenizers: [splitBy(GPT2), BYTE_LEVEL] };
}

function text(token: TokenText | undefined): string {
  return typeof token === "string" ? token : token?.content ?? "";
}

function chatTemplate(template: TokenizerConfig["chat_template"]): string | null {
  if (typeof template === "string") return template;
  return template?.find((entry) => entry.name === "default")?.template ?? template?.[0]?.template ?? null;
}
