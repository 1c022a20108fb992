/** The packs that a model is opened with: found by the model's fingerprint, read whole, and refused with what would make one. */
import { readSafetensors } from "../engine/safetensors/read.ts";
import type { ModelFile } from "../engine/weights.ts";
import { ModelError } from "../errors.ts";
import type { RandomAccessFile } from "../files.ts";
import { type PackArrays, packArrays } from "./arrays.ts";
import { fingerprint } from "./fingerprint.ts";
import { type PackHeader, packHeader } from "./header.ts";
import { type IndexmemPack, indexmemPack } from "./indexmem.ts";
import { type JudgeqPack, judgeqPack } from "./judgeq.ts";
import { type MetasoftPack, metasoftPack } from "./metasoft.ts";
import { type PackMethod, trainingCommand } from "./method.ts";
import { sha256 } from "./sha256.ts";

/** Larger than any that is of use. */
const MAX_BYTES = 1 << 26;

export interface Packs {
  judgeq?: JudgeqPack;
  metasoft?: MetasoftPack;
  indexmem?: IndexmemPack;
}

/** Files that may be packs of a method: the user's own first, then those that come with the program. Whoever asks closes them. */
export type PackFiles = (method: PackMethod) => Promise<RandomAccessFile[]>;

type Read<M extends keyof Packs> = (
  header: PackHeader,
  arrays: PackArrays,
  model: ModelFile,
) => Promise<NonNullable<Packs[M]>>;

const readers: { [M in keyof Required<Packs>]: Read<M> } = {
  judgeq: (header, arrays, { config }) => judgeqPack(header, arrays, config),
  metasoft: metasoftPack,
  indexmem: (header, arrays, { config }) => indexmemPack(header, arrays, config),
};

/** @throws {ModelError} when there is none for the model, or it cannot be used */
export async function openPacks(
  methods: readonly PackMethod[],
  files: PackFiles,
  model: ModelFile,
): Promise<Packs> {
  const packs: Packs = {};
  if (methods.length === 0) return packs;
  const wanted = await fingerprint(model);
  for (const method of methods) Object.assign(packs, { [method]: await openPack(method, wanted, files, model) });
  return packs;
}

/** Reads one pack from a file that stays open. @throws {ModelError} when it cannot be used for the model */
export async function readPack<M extends PackMethod>(
  method: M,
  file: RandomAccessFile,
  model: ModelFile,
): Promise<NonNullable<Packs[M]>> {
  if (file.size > MAX_BYTES) {
    throw new ModelError(`Cannot use pack ${file.path}: it has ${file.size} bytes, where up to ${MAX_BYTES} work`);
  }
  const stored = await readSafetensors(file), header = packHeader(stored, method);
  header.sha256 = await sha256(new Uint8Array(await file.read(0, file.size)));
  return await readers[method](header, packArrays(stored, header), model) as NonNullable<Packs[M]>;
}

async function openPack<M extends PackMethod>(method: M, wanted: string, files: PackFiles, model: ModelFile) {
  const foreign = new Set<string>();
  let unusable: Error | null = null;
  const candidates = await files(method);
  try {
    for (const file of candidates) {
      let header: PackHeader;
      try {
        header = packHeader(await readSafetensors(file), method);
      } catch (error) {
        unusable ??= error as Error; // one file that nobody can read must not hide another
        continue;
      }
      if (header.fingerprint === wanted) return await readPack(method, file, model);
      foreign.add(header.model || header.path);
    }
  } finally {
    for (const file of candidates) await file.close();
  }
  if (unusable) throw unusable;
  const others = foreign.size > 0 ? `those here are for ${[...foreign].join(", ")}; ` : "";
  throw new ModelError(
    `There is no pack of ${method} for ${model.config.name}: ${others}train one with: ${
      trainingCommand(method, model.path)
    }`,
  );
}
