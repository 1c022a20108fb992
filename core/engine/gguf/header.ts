/**
 * GGUF header: metadata and tensor infos. Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2
 * and 3.
 */
import type { RandomAccessFile } from "../../files.ts";
import { FORMATS } from "../dequantise.ts";
import type { TensorType } from "../weights.ts";
import { Cursor } from "./cursor.ts";
import { MAX_ARRAY_ELEMENTS, quote, readKey, readValue, shown } from "./values.ts";

/** Where a tensor lies: `offset` from the file's beginning, `shape` outermost first. */
export interface TensorInfo {
  type: TensorType;
  shape: number[];
  offset: number;
  byteLength: number;
}

export interface GgufHeader {
  metadata: Map<string, unknown>;
  /** By GGUF name, in file order. */
  tensors: Map<string, TensorInfo>;
}

// Larger than anything in use (2026: 256k tokens, 500k merges, some thousand tensors), small enough to allocate.
const MAX_HEADER_BYTES = 1 << 28;
const MAX_ENTRIES = 65536;
const MAX_DIMENSIONS = 4;

const TYPES_BY_ID = new Map<number, TensorType>(
  (Object.keys(FORMATS) as TensorType[]).map((type) => [FORMATS[type].ggmlId, type]),
);
// deno-fmt-ignore
const OTHER_TYPE_NAMES: Record<number, string> = {
  9: "Q8_1", 15: "Q8_K", 24: "I8", 25: "I16", 26: "I32", 27: "I64", 28: "F64", 41: "Q1_0",
};

/**
 * Reads the header and no tensor. `onMetadata` sees the metadata before any tensor info is read, so that an unsupported
 * model is refused for what it is and not for a tensor type that it uses.
 *
 * @throws {ModelError} for anything that is not a well-formed GGUF file whose tensors lie inside it.
 */
export async function readHeader(
  file: RandomAccessFile,
  onMetadata: (metadata: Map<string, unknown>) => void,
): Promise<GgufHeader> {
  const cursor = new Cursor(file, MAX_HEADER_BYTES);
  await cursor.need(24);
  const magic = cursor.u32();
  if (magic !== 0x46554747) {
    const met = magic.toString(16).padStart(8, "0");
    throw cursor.error(`it does not begin with "GGUF" (0x46554747) but with 0x${met}; give a .gguf model file`);
  }
  const version = cursor.u32();
  if (version !== 2 && version !== 3) {
    const bigEndian = version === 0x02000000 || version === 0x03000000;
    throw cursor.error(
      bigEndian
        ? "it is big-endian; little-endian files work"
        : `its version is ${version}; versions 2 and 3 work, so convert it with a current llama.cpp`,
    );
  }
  const tensorCount = entryCount(cursor, "tensors", 24);
  const metadataCount = entryCount(cursor, "metadata entries", 13);

  const metadata = new Map<string, unknown>();
  const budget = { elements: MAX_ARRAY_ELEMENTS };
  for (let i = 0; i < metadataCount; i++) {
    const key = await readKey(cursor);
    if (metadata.has(key)) throw cursor.error(`metadata key ${quote(key)} stands in it twice`);
    await cursor.need(4);
    metadata.set(key, await readValue(cursor, cursor.u32(), key, budget, 0));
  }
  onMetadata(metadata);

  const tensors = new Map<string, TensorInfo>();
  for (let i = 0; i < tensorCount; i++) {
    const name = await readKey(cursor);
    if (tensors.has(name)) throw cursor.error(`tensor ${quote(name)} stands in it twice`);
    tensors.set(name, await readTensorInfo(cursor, name));
  }
  placeTensors(cursor, file, tensors, alignmentOf(cursor, metadata));
  return { metadata, tensors };
}

function entryCount(cursor: Cursor, what: string, leastBytes: number): number {
  const count = cursor.u64();
  if (count > MAX_ENTRIES || count * leastBytes > cursor.remaining) {
    throw cursor.error(
      `it claims ${count} ${what}, more than fit into it (or more than ${MAX_ENTRIES}); fetch it again`,
    );
  }
  return count;
}

/** `offset` is still relative to the data section. */
async function readTensorInfo(cursor: Cursor, name: string): Promise<TensorInfo> {
  await cursor.need(4);
  const dimensions = cursor.u32();
  if (dimensions < 1 || dimensions > MAX_DIMENSIONS) {
    throw cursor.error(`tensor ${quote(name)} has ${dimensions} dimensions; 1 to ${MAX_DIMENSIONS} can be`);
  }
  await cursor.need(dimensions * 8 + 12);
  const shape = Array.from({ length: dimensions }, () => cursor.u64()).reverse();
  const typeId = cursor.u32();
  const offset = cursor.u64();
  const type = TYPES_BY_ID.get(typeId);
  if (type === undefined) {
    throw cursor.error(
      `tensor ${quote(name)} has type ${OTHER_TYPE_NAMES[typeId] ?? typeId}; ${Object.keys(FORMATS).join(", ")} work`,
    );
  }
  const { blockElements, blockBytes } = FORMATS[type];
  const columns = shape[shape.length - 1];
  const elements = shape.reduce((product, n) => product * n, 1);
  if (!(elements >= 1 && elements <= Number.MAX_SAFE_INTEGER) || columns % blockElements !== 0) {
    throw cursor.error(
      `tensor ${quote(name)} has shape [${shape.join(", ")}]; ${type} needs dimensions of at least 1 and ` +
        `rows of a multiple of ${blockElements}`,
    );
  }
  return { type, shape, offset, byteLength: elements / blockElements * blockBytes };
}

function alignmentOf(cursor: Cursor, metadata: Map<string, unknown>): number {
  const alignment = metadata.get("general.alignment") ?? 32;
  const valid = typeof alignment === "number" && Number.isInteger(alignment) && alignment >= 8 &&
    alignment <= 1 << 20 &&
    (alignment & (alignment - 1)) === 0;
  if (!valid) {
    throw cursor.error(
      `general.alignment is ${shown(alignment)}; a power of two from 8 to 2^20 works`,
    );
  }
  return alignment;
}

function placeTensors(cursor: Cursor, file: RandomAccessFile, tensors: Map<string, TensorInfo>, alignment: number) {
  const dataStart = Math.ceil(cursor.offset / alignment) * alignment;
  for (const [name, tensor] of tensors) {
    if (tensor.offset % alignment !== 0) {
      throw cursor.error(`tensor ${quote(name)} has offset ${tensor.offset}, not a multiple of ${alignment}`);
    }
    tensor.offset += dataStart;
    if (!(tensor.offset + tensor.byteLength <= file.size)) {
      throw cursor.error(
        `tensor ${quote(name)} ends at byte ${
          tensor.offset + tensor.byteLength
        }, but the file has ${file.size} bytes; ` +
          "it is truncated or damaged, so fetch it again",
      );
    }
  }
}
