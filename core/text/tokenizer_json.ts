/** A Hugging Face folder's `tokenizer.json` and `tokenizer_config.json` as the parts `tokenizer.ts` builds from. */
import { shown } from "../engine/gguf/values.ts";
import { ModelError } from "../errors.ts";
import { requireShape } from "./json_shape.ts";
import { TOKENIZER_CONFIG, TOKENIZER_JSON } from "./tokenizer_json_shape.ts";
import { metaspaces, preTokenizerSteps } from "./tokenizer_json_steps.ts";
import { looksLikeControl, looksLikeText, type TokenizerParts } from "./tokenizer_parts.ts";

interface Step {
  type: string;
  normalizers?: Step[];
  pretokenizers?: Step[];
  decoders?: Step[];
  prepend_scheme?: string;
  content?: string;
  start?: number;
}

interface Model {
  type?: string;
  vocab?: Record<string, number> | [string, number][];
  merges?: (string | [string, string])[];
  byte_fallback?: boolean;
  fuse_unk?: boolean;
  ignore_merges?: boolean;
  unk_token?: string | null;
  unk_id?: number | null;
  end_of_word_suffix?: string | null;
  continuing_subword_prefix?: string | null;
}

interface TokenizerJson {
  added_tokens?: { id: number; content: string; special?: boolean; lstrip?: boolean; rstrip?: boolean }[];
  normalizer?: Step | null;
  pre_tokenizer?: Step | null;
  decoder?: Step | null;
  post_processor?: unknown;
  model?: Model;
}

type TokenText = string | { content: string } | null;

interface TokenizerConfig {
  bos_token?: TokenText;
  eos_token?: TokenText;
  add_bos_token?: boolean;
  chat_template?: string | { name: string; template: string }[];
}

/** More than the largest vocabulary; an id beyond it is damage, and would make the list of all as long. */
const MOST_IDS = 1 << 22;

/**
 * @param rows of the embedding matrix: added tokens beyond are left out, as Gemma's for images are, which its text models have no row for
 * @throws {ModelError} when the tokenizer is damaged, or not of a kind that writes text.
 */
export function jsonParts(tokenizerJson: unknown, tokenizerConfig: unknown, rows = MOST_IDS): TokenizerParts {
  requireShape(tokenizerJson, TOKENIZER_JSON, "tokenizer.json");
  requireShape(tokenizerConfig, TOKENIZER_CONFIG, "tokenizer_config.json");
  const json = tokenizerJson as TokenizerJson | null;
  const config = (tokenizerConfig ?? {}) as TokenizerConfig;
  const vocab = json?.model?.vocab;
  if (json?.model === undefined || vocab === undefined || vocab === null) {
    throw new ModelError("The model's tokenizer.json is incomplete: it has no model with a vocabulary");
  }
  const pieces: (string | undefined)[] = [];
  const entries = Array.isArray(vocab) ? vocab.map((entry, id) => [entry?.[0], id] as const) : Object.entries(vocab);
  for (const [piece, id] of entries) put(pieces, piece, id);
  if (pieces.length > rows) {
    throw new ModelError(
      `The model's tokenizer.json is damaged: it has ${pieces.length} pieces, and the embedding matrix only ${rows} rows`,
    );
  }
  const spaced = [json.normalizer, json.pre_tokenizer].flatMap(flatten);
  const byteLevel = [...spaced, ...flatten(json.decoder)].some((step) => step.type === "ByteLevel");
  const added = (json.added_tokens ?? []).filter(({ id }) => id < rows).map(
    ({ id, content, special, lstrip, rstrip }) => {
      put(pieces, content, id);
      const control = special || looksLikeControl(content);
      const strips = { lstrip: lstrip ?? false, rstrip: rstrip ?? false };
      // One that takes white space away with it is no piece of text: Phi 3's `</s>`.
      const text = !control && !byteLevel && !strips.lstrip && !strips.rstrip && looksLikeText(content);
      return { id, content, control, text, ...strips };
    },
  );

  const normalizers = [json.normalizer, metaspaces(json.pre_tokenizer)].filter((step) =>
    step !== null && step !== undefined
  );
  const eosToken = text(config.eos_token), bosToken = text(config.bos_token);
  return {
    normalizer: normalizers.length === 0 ? null : { type: "Sequence", normalizers },
    preTokenizer: preTokenizerSteps(json.pre_tokenizer),
    model: model(json.model, vocab),
    spelling: byteLevel ? "byteLevel" : "sentencePiece",
    byteFallback: json.model.byte_fallback ?? false,
    // A byte without an entry is dropped: the unknown token is often `<|endoftext|>`, which no text may become.
    unknownId: byteLevel ? null : unknownId(json.model, pieces),
    fuseUnknown: json.model.fuse_unk ?? json.model.type !== "BPE",
    pieces,
    added,
    spaceAfterAdded: spaced.some((step) => step.type === "Prepend")
      ? "always"
      : spaced.some((step) => step.type === "Metaspace" && (step.prepend_scheme ?? "always") === "always")
      ? "missing"
      : "never",
    spaceBeforeText: spaced.some((step) =>
      step.type === "Prepend" || (step.type === "Metaspace" && step.prepend_scheme !== "never")
    ),
    endIds: eosToken === "" ? [] : [pieces.indexOf(eosToken)].filter((id) => id >= 0),
    chatTemplate: chatTemplate(config.chat_template),
    bosToken,
    eosToken,
    addBos: config.add_bos_token ??
      (bosToken !== "" && JSON.stringify(json.post_processor ?? null).includes(JSON.stringify(bosToken))),
  };
}

function put(pieces: (string | undefined)[], piece: unknown, id: unknown): void {
  if (typeof piece !== "string" || typeof id !== "number" || !(id >= 0 && id < MOST_IDS && Number.isInteger(id))) {
    throw new ModelError(
      `The model's tokenizer.json is damaged: token ${shown(piece)} has id ${shown(id)}, where a text and a whole ` +
        `number below ${MOST_IDS} work`,
    );
  }
  pieces[id] = piece;
}

function model(json: Model, vocab: NonNullable<Model["vocab"]>): TokenizerParts["model"] {
  const kind = json.type ?? (Array.isArray(vocab) ? "Unigram" : "BPE");
  if (kind === "Unigram" && Array.isArray(vocab)) {
    const wrong = vocab.find(([, score]) => !Number.isFinite(score));
    if (wrong) {
      throw new ModelError(
        `The model's tokenizer.json is damaged: token ${shown(wrong[0])} has score ${
          shown(wrong[1])
        }, where a number works`,
      );
    }
    return { type: "Unigram", scores: Float64Array.from(vocab, ([, score]) => score) };
  }
  if (kind !== "BPE") throw new ModelError(`Cannot use the model's tokenizer ${shown(kind)}: BPE and Unigram work`);
  if (json.end_of_word_suffix || json.continuing_subword_prefix) {
    const mark = (json.end_of_word_suffix || json.continuing_subword_prefix)!.slice(0, 40);
    throw new ModelError(
      `Cannot use the model's tokenizer: it marks parts of words with "${mark}", one without marks works`,
    );
  }
  const { merges } = json;
  const isText = (value: unknown) => typeof value === "string";
  if (
    !Array.isArray(merges) || !merges.every((m) => isText(m) || (Array.isArray(m) && m.length === 2 && m.every(isText)))
  ) {
    throw new ModelError("The model's tokenizer.json is damaged: its merges are no list of pairs");
  }
  return { type: "BPE", merges, wholeWords: json.ignore_merges ?? false };
}

function unknownId(json: Model, pieces: readonly (string | undefined)[]): number | null {
  const id = json.unk_id ?? (json.unk_token ? pieces.indexOf(json.unk_token) : -1);
  return pieces[id] === undefined ? null : id;
}

function flatten(step: Step | null | undefined): Step[] {
  if (step === null || step === undefined) return [];
  return [step, ...[...step.normalizers ?? [], ...step.pretokenizers ?? [], ...step.decoders ?? []].flatMap(flatten)];
}

function text(token: TokenText | undefined): string {
  return typeof token === "string" ? token : token?.content ?? "";
}

function chatTemplate(template: TokenizerConfig["chat_template"]): string | null {
  if (typeof template === "string") return template;
  return template?.find((entry) => entry.name === "default")?.template ?? template?.[0]?.template ?? null;
}
