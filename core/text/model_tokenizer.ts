/** A model's tokenizer: a GGUF file has it in its metadata, a Hugging Face folder in files of its own. */
import type { ModelFile } from "../engine/weights.ts";
import { ModelError, PalimpsestError } from "../errors.ts";
import { type Tokenizer, tokenizerFromGguf, tokenizerFromJson } from "./tokenizer.ts";
import { jsonParts } from "./tokenizer_json.ts";

type Json = Record<string, unknown>;
type Stored = Pick<ModelFile, "path" | "format" | "metadata" | "beside">;

/** @throws {ModelError} when it is missing, damaged or of an unsupported kind */
export async function tokenizerOf(model: Stored & Partial<Pick<ModelFile, "config">>): Promise<Tokenizer> {
  if (model.format === "gguf") return tokenizerFromGguf(model.metadata);
  const json = await tokenizerJson(model), config = await object(model, "tokenizer_config.json") ?? {};
  // ends that only the generation's settings name: Llama 3's end of a turn
  const settings = await object(model, "generation_config.json") ?? await object(model, "config.json") ?? {};
  const template = await model.beside("chat_template.jinja");
  return understood(model, () =>
    tokenizerFromJson(
      json,
      {
        ...config,
        ...(template ? { chat_template: textOf(model, "chat_template.jinja", template) } : {}),
      },
      endIds(settings.eos_token_id),
      model.config?.vocab,
    ));
}

/**
 * Every token as the model's files spell it, in the order of ids: the same for both formats.
 * @throws {ModelError} where the model's files have none
 */
export async function vocabularyOf(model: Stored & Pick<ModelFile, "config">): Promise<readonly string[]> {
  if (model.format === "gguf") {
    const tokens = model.metadata.get("tokenizer.ggml.tokens");
    if (Array.isArray(tokens)) return tokens;
    throw new ModelError(`Cannot use model ${model.path}: it has no vocabulary ("tokenizer.ggml.tokens" is missing)`);
  }
  const json = await tokenizerJson(model), { pieces, added } = understood(model, () => jsonParts(json, {}));
  // as llama.cpp's converter writes them: holes have names, and white space that was given by hand is written as itself
  const tokens = Array.from(
    { length: Math.max(model.config.vocab, pieces.length) },
    (_, id) => pieces[id] ?? `[PAD${id}]`,
  );
  for (const { id, content, control } of added) if (!control) tokens[id] = content.replaceAll("▁", " ");
  return tokens;
}

async function tokenizerJson(model: Stored): Promise<Json> {
  const json = await object(model, "tokenizer.json");
  if (json) return json;
  const works = await model.beside("tokenizer.model")
    ? "transformers makes one from its tokenizer.model (AutoTokenizer, save_pretrained), and a GGUF file of the model works"
    : "fetch it from where the model is from";
  throw new ModelError(`Cannot use model ${model.path}: it has no tokenizer.json; ${works}`);
}

async function object(model: Stored, name: string): Promise<Json | null> {
  const bytes = await model.beside(name);
  if (!bytes) return null;
  let value: unknown;
  try {
    value = JSON.parse(textOf(model, name, bytes));
  } catch {
    value = null; // also nesting deeper than the parser's stack
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Json;
  throw new ModelError(`Cannot use model ${model.path}: ${name} is no JSON object; fetch it again`);
}

function textOf(model: Stored, name: string, bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new ModelError(`Cannot use model ${model.path}: ${name} is no text in UTF-8; fetch it again`);
  }
}

/** @param stated a number, or a list of some */
function endIds(stated: unknown): number[] {
  return [stated].flat().filter((id): id is number => Number.isInteger(id));
}

/** What is built of others of another form than stated there is damage, whatever the engine calls it. */
function understood<T>(model: Stored, build: () => T): T {
  try {
    return build();
  } catch (error) {
    if (error instanceof PalimpsestError) throw error;
    const { message } = error as Error;
    throw new ModelError(`Cannot use model ${model.path}: its tokenizer.json is damaged (${message})`, {
      cause: error,
    });
  }
}
