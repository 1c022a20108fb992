/**
 * The container of a saved state: safetensors, whose `__metadata__` says what it is (`format`, `version`), holds the facts as JSON and a SHA-256 over facts
 * and arrays. What stands in the arrays is written from where it is and read back into it, so a state of any size takes no memory of its own.
 */
import { parseObject, readSafetensors } from "../engine/safetensors/read.ts";
import { ModelError } from "../errors.ts";
import type { FileSystem, RandomAccessFile } from "../files.ts";
import { sha256 } from "../pack/sha256.ts";
import { bytesOf, type StateArray } from "./arrays.ts";
import { type Facts, factsOf } from "./facts.ts";

const FORMAT = "palimpsest.state";
/** Raised with every change of what facts and arrays mean: other versions are refused. */
export const STATE_VERSION = "1";

/** A state's file that is open. */
export interface StateFile {
  readonly path: string;
  readonly facts: Facts;
  /** Of facts and arrays, as the file states it; `fill` compares. No two readings have the same. */
  readonly sha256: string;
  /** Fills arrays with what the file has of them. @throws {ModelError} where it has others, or is damaged */
  fill(arrays: StateArray[]): Promise<void>;
  close(): Promise<void>;
}

/** Writes a state, all of it or nothing. */
export async function writeState(files: FileSystem, path: string, facts: object, arrays: StateArray[]): Promise<void> {
  const json = JSON.stringify(facts), digest = new Digest();
  await digest.add(new TextEncoder().encode(json));
  let offset = 0;
  const entries: [string, object][] = [];
  for (const array of arrays) {
    for (const piece of array.pieces) await digest.add(bytesIn(piece));
    const end = offset + bytesOf(array);
    entries.push([array.name, { dtype: array.dtype, shape: array.shape, data_offsets: [offset, end] }]);
    offset = end;
  }
  const metadata = { format: FORMAT, version: STATE_VERSION, facts: json, sha256: await digest.hex() };
  const header = new TextEncoder().encode(JSON.stringify({ __metadata__: metadata, ...Object.fromEntries(entries) }));
  const padded = new Uint8Array(8 + Math.ceil(header.length / 8) * 8).fill(0x20);
  new DataView(padded.buffer).setBigUint64(0, BigInt(padded.length - 8), true);
  padded.set(header, 8);
  await files.writeAtomically(path, async (write) => {
    await write(padded);
    for (const { pieces } of arrays) for (const piece of pieces) await write(bytesIn(piece));
  });
}

/** @throws {ModelError} when it is no state, of another version, or damaged */
export async function openState(files: FileSystem, path: string): Promise<StateFile> {
  const refuse = (problem: string) =>
    new ModelError(`Cannot use state ${path}: ${problem}; reading the documents again makes a new one`);
  const file = await files.open(path);
  try {
    return await opened(file, refuse);
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function opened(file: RandomAccessFile, refuse: (problem: string) => ModelError): Promise<StateFile> {
  const stored = await readSafetensors(file).catch((error) => {
    throw error instanceof ModelError
      ? new ModelError(
        `Cannot use state ${file.path}: it is none, or damaged; a file that palimpsest read -o has written works`,
      )
      : error;
  });
  const { metadata } = stored,
    version = metadata.get("version"),
    json = new TextEncoder().encode(metadata.get("facts") ?? "");
  if (metadata.get("format") !== FORMAT) {
    throw new ModelError(
      `Cannot use state ${file.path}: it is a safetensors file of another kind; one that palimpsest read -o has written works`,
    );
  }
  if (version !== STATE_VERSION) {
    throw refuse(`its version is ${JSON.stringify(version?.slice(0, 20) ?? null)}, where "${STATE_VERSION}" works`);
  }
  const parsed = parseObject(json);
  if (!parsed) throw refuse("its facts are no JSON object");
  return {
    path: file.path,
    facts: factsOf(parsed, "facts", refuse),
    sha256: metadata.get("sha256") ?? "",
    async fill(arrays) {
      const digest = new Digest();
      await digest.add(json);
      if (stored.arrays.size !== arrays.length) {
        throw refuse(`it holds ${stored.arrays.size} arrays, where ${arrays.length} are needed`);
      }
      for (const { name, dtype, shape, pieces } of arrays) {
        const found = stored.arrays.get(name);
        if (!found) throw refuse(`it lacks ${name}`);
        if (found.dtype !== dtype || found.shape.join() !== shape.join()) {
          throw refuse(
            `its ${name} is ${found.dtype} [${found.shape.join(", ")}], where ${dtype} [${shape.join(", ")}] is needed`,
          );
        }
        let { offset } = found;
        for (const piece of pieces) {
          const bytes = bytesIn(piece);
          bytes.set(await stored.slice(offset, bytes.length));
          await digest.add(bytes);
          offset += bytes.length;
        }
      }
      if (await digest.hex() !== metadata.get("sha256")) throw refuse("it is damaged: its checksum is another");
    },
    close: () => stored.close(),
  };
}

/** SHA-256 of the SHA-256 of every piece: pieces are hashed where they stand, without a copy of all of them. */
class Digest {
  private readonly digests: Uint8Array[] = [];

  async add(bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    this.digests.push(new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)));
  }

  async hex(): Promise<string> {
    const all = new Uint8Array(32 * this.digests.length);
    this.digests.forEach((digest, i) => all.set(digest, 32 * i));
    return await sha256(all);
  }
}

const bytesIn = ({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array<ArrayBuffer> =>
  new Uint8Array(buffer as ArrayBuffer, byteOffset, byteLength);
