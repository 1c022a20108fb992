/** What a pack says of itself: the strings of its safetensors header, each of them doubted. */
import type { SafetensorsFile } from "../engine/safetensors/read.ts";
import { parseObject } from "../engine/safetensors/read.ts";
import { ModelError } from "../errors.ts";
import { PACK_METHODS, type PackMethod, trainingCommand } from "./method.ts";

/** The only version there is. */
export const PACK_VERSION = "1";

export interface PackHeader {
  path: string;
  method: PackMethod;
  /** Of the whole file, once it was read. */
  sha256: string;
  /** Of the checkpoint that it was trained for. */
  fingerprint: string;
  /** A readable name of that checkpoint, of what it was trained on, and with which seed. */
  model: string;
  data: string;
  seed: string;
  /** Figures on held-out documents, by name. */
  validation: Record<string, number>;
  /** What the method must know beside the arrays. */
  parameters: Record<string, number>;
}

/** @throws {ModelError} when it is no pack, of another method or of another version */
export function packHeader({ path, metadata }: SafetensorsFile, method: PackMethod): PackHeader {
  const refuse = (problem: string) =>
    new ModelError(`Cannot use pack ${path}: ${problem}; train one with: ${trainingCommand(method)}`);
  const stated = metadata.get("method"), version = metadata.get("version");
  if (!PACK_METHODS.some((known) => known === stated)) {
    throw refuse(`its method is ${shown(stated)}, where ${PACK_METHODS.join(", ")} work`);
  }
  if (stated !== method) throw refuse(`it holds ${stated}, where ${method} is asked for`);
  if (version !== PACK_VERSION) throw refuse(`its version is ${shown(version)}, where "${PACK_VERSION}" works`);
  const fingerprint = metadata.get("fingerprint");
  if (!fingerprint || !/^[0-9a-f]{64}$/.test(fingerprint)) {
    throw refuse(`its fingerprint is ${shown(fingerprint)}, where 64 hexadecimal digits are needed`);
  }
  return {
    path,
    method,
    sha256: "",
    fingerprint,
    model: plain(metadata.get("model")),
    data: plain(metadata.get("data")),
    seed: plain(metadata.get("seed")),
    validation: numbers(metadata.get("validation")),
    parameters: numbers(metadata.get("parameters")),
  };
}

/** The numbers of a JSON object; what is anything else is left out. */
function numbers(text = "{}"): Record<string, number> {
  const entries = Object.entries(parseObject(new TextEncoder().encode(text)) ?? {});
  return Object.fromEntries(
    entries.flatMap(([name, value]) =>
      /^[\w .%-]{1,40}$/.test(name) && typeof value === "number" && Number.isFinite(value) ? [[name, value]] : []
    ),
  );
}

/** One line without control characters: it is shown on terminals. */
function plain(text = ""): string {
  return text.replace(/[\p{C}\s]+/gu, " ").trim().slice(0, 200);
}

function shown(text: string | undefined): string {
  return text === undefined ? "missing" : JSON.stringify(plain(text).slice(0, 80));
}
