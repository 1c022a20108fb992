/** `palimpsest models --check [MODEL]`: what the shipped form for execution costs against the weights that the file holds, on a text. */
import { BudgetError, InputError, UsageError } from "../core/errors.ts";
import { type ExecutionForm, executionForms } from "../core/engine/execution_forms.ts";
import { openModelFile } from "../core/engine/open.ts";
import { PREPARED_VERSION } from "../core/engine/prepare.ts";
import { allLogits, type ExecutionError, executionError } from "../core/eval/execution_error.ts";
import { modelSha256 } from "../core/model_hash.ts";
import { sha256 as sha256Of } from "../core/pack/sha256.ts";
import { readText } from "../core/text/document.ts";
import type { Tokenizer } from "../core/text/tokenizer.ts";
import { CHECK_TEXT } from "./check_text.ts";
import { openDocuments } from "./documents.ts";
import { cacheFolder, graphsFolder } from "./folders.ts";
import { availableBytes, files } from "./host.ts";
import { withKnownHashes } from "./known_hashes.ts";
import { columns } from "./models.ts";
import { readableBytes, readableCount } from "./numbers.ts";
import { openStored, type Stored } from "./open.ts";
import { writeJson, writeOut } from "./output.ts";
import { defaultModel } from "./registry.ts";
import { createRenderer, type RenderOptions } from "./render.ts";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { breathe, interruption } from "./signals.ts";
import { resolveModel } from "./store.ts";
import { forgetTemporary, temporaryName } from "./temporary.ts";
import { version } from "./version.ts";

export interface CheckFlags extends RenderOptions {
  check?: string | true | undefined;
  text?: string | undefined;
  fresh?: boolean | undefined;
  threads?: number | undefined;
  json?: boolean | undefined;
}

/** What `models --check --json` prints. */
interface CheckRecord extends ExecutionError {
  schema: "palimpsest.check/1";
  command: "models --check";
  model: { name: string; architecture: string; sha256: string };
  text: { name: string; sha256: string };
  /** What is executed as what. */
  forms: ExecutionForm[];
}

/** Tokens at most: logits of all of them are held. */
const MOST_TOKENS = 512;
const LEAST_TOKENS = 16;

/** @throws {UsageError} when a flag of the check is given without it */
export function refuseCheckFlags({ text, fresh }: CheckFlags): void {
  if (text !== undefined) throw new UsageError(`--text goes with --check: palimpsest models --check --text ${text}`);
  if (fresh) throw new UsageError("--fresh goes with --check: palimpsest models --check --fresh");
}

/** Prints the check, measured now or remembered. @throws {BudgetError} when the model in f32 is too large for this machine */
export async function checkModel(wanted: string | true, flags: CheckFlags): Promise<void> {
  const cache = cacheFolder(), name = wanted === true ? process.env["PALIMPSEST_MODEL"] || defaultModel : wanted;
  const stored = await resolveModel(cache, name), renderer = createRenderer(flags);
  const text = await textOf(flags.text, renderer.remark);
  const model = await openModelFile(files, stored.path);
  let record: CheckRecord | null;
  try {
    const sha256 = stored.sha256 ?? await modelSha256(withKnownHashes(cache), model);
    const textSha256 = await sha256Of(new TextEncoder().encode(text.content));
    const known = join(
      graphsFolder(cache, sha256),
      `check-${PREPARED_VERSION}-${version}-${textSha256.slice(0, 16)}.json`,
    );
    record = flags.fresh ? null : await readKnown(known);
    if (!record) {
      const forms = executionForms(model), { architecture } = model.config;
      refuseTooLarge(forms);
      const error = await measure({ ...stored, sha256 }, text.content, cache, flags, renderer);
      record = {
        schema: "palimpsest.check/1",
        command: "models --check",
        model: { name: stored.name, architecture, sha256 },
        text: { name: text.name, sha256: textSha256 },
        forms,
        ...error,
      };
      const bytes = new TextEncoder().encode(JSON.stringify(record) + "\n");
      // what cannot be remembered is measured again
      await files.writeAtomically(known, (write) => write(bytes)).catch(() => {});
    }
    // the same weights and text may go by other names by now
    record = { ...record, model: { ...record.model, name: stored.name }, text: { ...record.text, name: text.name } };
  } finally {
    await model.close();
  }
  if (flags.json) writeJson(record);
  else writeOut(lines(record));
}

async function textOf(path: string | undefined, onWarning: (message: string) => void) {
  if (path === undefined) return { name: "a page of Moby-Dick", content: CHECK_TEXT };
  const [source] = await openDocuments([path]);
  let content = "";
  for await (const piece of readText(source!, onWarning)) {
    content += piece.text;
    if (content.length > 64 * MOST_TOKENS) break; // more than is ever read of it
  }
  return { name: path, content };
}

async function readKnown(path: string): Promise<CheckRecord | null> {
  if (!(await files.exists(path))) return null;
  try {
    const record = JSON.parse(new TextDecoder().decode(await files.readFile(path))) as CheckRecord;
    return record.schema === "palimpsest.check/1" ? record : null;
  } catch {
    return null; // a damaged one is measured anew
  }
}

function refuseTooLarge(forms: ExecutionForm[]): void {
  const bytes = 4 * forms.reduce((sum, { weights }) => sum + weights, 0), available = availableBytes();
  if (bytes <= available) return;
  throw new BudgetError(
    `The check runs the model in f32, which takes ${readableBytes(bytes)} of memory, and ${
      readableBytes(available)
    } may ` +
      "be used here; a smaller model works",
  );
}

/** Both forms read the text, one after the other; the weights in f32, which nothing else needs, are removed again. */
async function measure(
  stored: Stored,
  text: string,
  cache: string,
  flags: CheckFlags,
  renderer: ReturnType<typeof createRenderer>,
): Promise<ExecutionError> {
  const exactFolder = temporaryName(join(cache, "check"));
  const logitsOf = async (weights: "f32" | "blocks") => {
    const folder = weights === "f32" ? exactFolder : cache, { threads } = flags;
    const model = await openStored(stored, "cpu", { policy: "full", cacheFolder: folder, threads, renderer, weights });
    try {
      const ids = idsOf(model.tokenizer, text, model.config.trainedPositions);
      const logits = await allLogits(model.engine, ids, async (done) => {
        interruption.throwIfAborted();
        renderer.status(`reading in ${weights === "f32" ? "f32" : "8 bits"}: ${done} of ${ids.length} tokens`);
        await breathe();
      });
      return { ids, logits, vocab: model.config.vocab };
    } finally {
      renderer.clear();
      await model.close();
    }
  };
  try {
    const executed = await logitsOf("blocks"), exact = await logitsOf("f32");
    return executionError(exact.logits, executed.logits, exact.ids, exact.vocab);
  } finally {
    await rm(exactFolder, { recursive: true, force: true });
    forgetTemporary(exactFolder);
  }
}

function idsOf(tokenizer: Tokenizer, text: string, trainedPositions: number): number[] {
  const begin = tokenizer.addBos ? tokenizer.encode(tokenizer.bosToken, { control: true }) : [];
  const ids = [...begin, ...tokenizer.encode(text, { control: false })];
  if (ids.length < LEAST_TOKENS) {
    throw new InputError(`The text has ${ids.length} tokens, too few to compare on; ${LEAST_TOKENS} or more work`);
  }
  return ids.slice(0, Math.min(MOST_TOKENS, trainedPositions));
}

function lines({ model, text, tokens, kl, topOne, perplexity, forms }: CheckRecord): string {
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const number = (value: number) => value.toPrecision(3);
  const measured = columns([
    [
      "KL per token",
      `${number(kl.mean)} nats${kl.error === null ? "" : ` ± ${number(kl.error)}`}, at most ${number(kl.most)}`,
    ],
    ["same next token", `${percent(topOne.share)} (95 % interval ${percent(topOne.low)} to ${percent(topOne.high)})`],
    ["perplexity", `${perplexity.exact.toFixed(3)} in f32, ${perplexity.executed.toFixed(3)} as executed`],
  ]);
  const table = columns([
    ["stored", "tensors", "weights", "executed"],
    ...forms.map((form) => [form.type, String(form.tensors), readableCount(form.weights), formText(form)]),
  ]);
  return `${model.name} as it is executed (activations in 8 bits), against its weights in f32, on ${tokens} tokens of ` +
    `${text.name}\n\n${measured}\n${table}`;
}

function formText({ bits, blockSize, isRounded }: ExecutionForm): string {
  if (blockSize === null) return "f32";
  const form = `${bits} bits in blocks of ${blockSize}`;
  return isRounded ? `rounded to ${form} with zero points` : `${form}, no value changed`;
}
