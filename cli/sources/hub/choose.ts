/** Which files of a repository make the model that was asked for. */
import { basename } from "node:path";
import { ModelError } from "../../../core/errors.ts";
import { nearestName } from "../../../core/nearest_name.ts";
import { neededFiles } from "../../../core/engine/safetensors/folder.ts";
import { readableBytes } from "../../numbers.ts";
import type { HubFile, Repository } from "./listing.ts";
import { isPlainPath } from "./name.ts";

/** The files of one model. */
export interface Choice {
  /** A GGUF file; null for a folder. */
  file: string | null;
  files: HubFile[];
  /** What was chosen among several, in words; null where there was nothing to choose. */
  why: string | null;
  /** Other files that would work, for those who want to choose. */
  others: string[];
}

/**
 * Quantisations, best first. The engine keeps weights in 8 bits, whatever the file has: Q8_0 loses nothing to that, and what has fewer bits
 * is smaller on the way and on the disk only. Full precision is rounded to 8 bits all the same; what is not here has fewer than 3 bits, or a name that says nothing.
 */
const quantisations = [
  "Q8_0 Q4_K_M Q6_K Q5_K_M Q5_K_S Q4_K_S Q5_1 Q5_0 Q4_1 IQ4_XS IQ4_NL Q4_0 MXFP4",
  "Q3_K_L Q3_K_M F16 BF16 F32",
].flatMap((labels) => labels.split(" "));
/** Above it Q4_K_M, a good half of Q8_0, is worth its loss. */
const largestQ8 = 4 * 1024 ** 3;

const splitPart = /-\d{5}-of-(\d{5})\.gguf$/i;

/**
 * @param wanted a file's path, or the name of a quantisation; null for what suits best
 * @throws {ModelError} where there is no such file, or no model
 */
export function choose(repository: Repository, wanted: string | null): Choice {
  const files = repository.files.filter((file) => isPlainPath(file.path));
  return wanted === null ? chooseBest(repository.name, files) : chooseNamed(repository.name, files, wanted);
}

/** Does a file have this name, or this quantisation? */
export function isMeant(wanted: string, path: string): boolean {
  return path === wanted || basename(path) === wanted || quantisationOf(path) === wanted.toUpperCase();
}

function chooseNamed(name: string, files: HubFile[], wanted: string): Choice {
  const found = files.find((file) => file.path === wanted) ??
    files.filter((file) => isModel(file.path) && isMeant(wanted, file.path)).sort((a, b) =>
      a.path.length - b.path.length
    )[0];
  if (found && /\.gguf$/i.test(found.path)) {
    refuseParts(name, found.path);
    return { file: found.path, files: [found], why: null, others: [] };
  }
  if (found && /\.(safetensors|json)$/i.test(found.path) && !found.path.includes("/")) return folder(name, files);
  if (found) throw new ModelError(`${found.path} of ${name} is no model: ${works(files)}`);
  const parts = files.find((file) => splitPart.test(file.path) && quantisationOf(file.path) === wanted.toUpperCase());
  if (parts) refuseParts(name, parts.path);
  const models = files.map((file) => file.path).filter((path) => isModel(path) && !splitPart.test(path));
  const near = nearestName(wanted, [...models, ...models.map(quantisationOf).filter((label) => label !== null)]);
  throw new ModelError(
    `The repository ${name} has no file ${wanted}${near ? `, did you mean ${near}?` : `: ${works(files)}`}`,
  );
}

function chooseBest(name: string, files: HubFile[]): Choice {
  const gguf = files.filter((file) => isModel(file.path)), whole = gguf.filter((file) => !splitPart.test(file.path));
  const [best] = whole.sort((a, b) => rankOf(a) - rankOf(b) || b.size - a.size);
  if (!best) {
    const made = folder(name, files, gguf.length > 0);
    if (!made) refuseParts(name, gguf[0]!.path);
    return made!;
  }
  const others = whole.filter((file) => file !== best).map((file) => file.path);
  const why = others.length === 0 ? null : `${name} has ${whole.length} GGUF files, ${best.path} ` +
    `(${readableBytes(best.size)}) is taken; the others: ${shown(others)}`;
  return { file: best.path, files: [best], why, others };
}

/** A model in safetensors. Which shards belong to it, its index will say. @param mayFail there is something else to tell */
function folder(name: string, files: HubFile[], mayFail: true): Choice | null;
function folder(name: string, files: HubFile[], mayFail?: boolean): Choice;
function folder(name: string, files: HubFile[], mayFail = false): Choice | null {
  const paths = files.map((file) => file.path), needed = neededFiles(paths);
  const without = needed.length === 0
    ? paths.includes("config.json") ? "no safetensors weights" : "no config.json"
    : needed.includes("tokenizer.json")
    ? null
    : "no tokenizer.json";
  if (!without) {
    return { file: null, files: files.filter((file) => needed.includes(file.path)), why: null, others: [] };
  }
  if (mayFail) return null;
  const pickled = paths.some((path) => /\.(bin|pth?|ckpt)$/.test(path)),
    adapter = paths.includes("adapter_config.json");
  const has = adapter ? ", only an adapter" : pickled ? ", only pickled weights" : "";
  throw new ModelError(
    `The repository ${name} has ${without}${has}: one with GGUF files, or with config.json, tokenizer.json and safetensors weights, works`,
  );
}

function refuseParts(name: string, path: string): void {
  const parts = splitPart.exec(path)?.[1];
  if (!parts) return;
  throw new ModelError(
    `${path} of ${name} is one of ${Number(parts)} parts, which cannot be read: fetch all of them, join them with ` +
      "llama-gguf-split --merge and give the whole file with --model",
  );
}

/** Projectors and importance matrices have the ending, and are no models. */
function isModel(path: string): boolean {
  return /\.gguf$/i.test(path) && !/(^|[-._/])(mmproj|imatrix)/i.test(path);
}

/** "…-Q4_K_M.gguf" → "Q4_K_M"; null where the name says none. Unsloth's mixtures have UD before it. */
export function quantisationOf(path: string): string | null {
  const label = /(?:^|[-._])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]+)*|TQ\d_\d|BF16|FP?16|FP?32|MXFP4))$/i;
  const [, found] = label.exec(basename(path).replace(/\.gguf$/i, "")) ?? [];
  return found?.toUpperCase().replace(/^FP/, "F") ?? null;
}

/** Place in the order of choice, the first the best. */
function rankOf({ path, size }: HubFile): number {
  const label = quantisationOf(path) ?? "", rank = quantisations.indexOf(label);
  if (label === "Q8_0" && size > largestQ8) return quantisations.indexOf("Q4_K_M") + 0.5;
  return rank < 0 ? quantisations.length : rank;
}

function works(files: HubFile[]): string {
  const models = files.map((file) => file.path).filter((path) => isModel(path) && !splitPart.test(path));
  return models.length > 0 ? `it has ${shown(models)}` : "it has no GGUF file";
}

function shown(names: string[]): string {
  return names.slice(0, 8).join(", ") + (names.length > 8 ? ` and ${names.length - 8} more` : "");
}
