/** The safetensors container: named arrays of any kind. Source: https://github.com/huggingface/safetensors#format. */
import { ModelError } from "../../errors.ts";
import type { RandomAccessFile } from "../../files.ts";
import { HALF } from "../dequantise/half.ts";

export interface StoredArray {
  dtype: Dtype;
  /** Outermost first; [] for a scalar. */
  shape: number[];
  /** From the file's beginning. */
  offset: number;
  byteLength: number;
}

export type ArrayData =
  | Float32Array
  | Float64Array
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | BigInt64Array
  | BigUint64Array;

export interface SafetensorsFile {
  readonly path: string;
  /** `__metadata__`: strings by key. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly arrays: ReadonlyMap<string, StoredArray>;
  /** Bytes as stored, a copy of their own. @throws {ModelError} when no array has that name. */
  bytes(name: string): Promise<Uint8Array>;
  /** Bytes from the file's beginning: part of an array. */
  slice(offset: number, byteLength: number): Promise<Uint8Array>;
  /**
   * Values; F16 and BF16 come as Float32Array, BOOL as Uint8Array, 64-bit integers as BigInt arrays. @throws
   * {ModelError} as `bytes`.
   */
  read(name: string): Promise<{ shape: number[]; data: ArrayData }>;
  close(): Promise<void>;
}

export type Dtype =
  | "F64"
  | "F32"
  | "F16"
  | "BF16"
  | "I64"
  | "U64"
  | "I32"
  | "U32"
  | "I16"
  | "U16"
  | "I8"
  | "U8"
  | "BOOL";

const DTYPES: Record<Dtype, { bytes: number; decode: (buffer: ArrayBuffer) => ArrayData }> = {
  F64: { bytes: 8, decode: (b: ArrayBuffer) => new Float64Array(b) },
  F32: { bytes: 4, decode: (b: ArrayBuffer) => new Float32Array(b) },
  F16: { bytes: 2, decode: (b: ArrayBuffer) => Float32Array.from(new Uint16Array(b), (bits) => HALF[bits]) },
  BF16: { bytes: 2, decode: decodeBf16 },
  I64: { bytes: 8, decode: (b: ArrayBuffer) => new BigInt64Array(b) },
  U64: { bytes: 8, decode: (b: ArrayBuffer) => new BigUint64Array(b) },
  I32: { bytes: 4, decode: (b: ArrayBuffer) => new Int32Array(b) },
  U32: { bytes: 4, decode: (b: ArrayBuffer) => new Uint32Array(b) },
  I16: { bytes: 2, decode: (b: ArrayBuffer) => new Int16Array(b) },
  U16: { bytes: 2, decode: (b: ArrayBuffer) => new Uint16Array(b) },
  I8: { bytes: 1, decode: (b: ArrayBuffer) => new Int8Array(b) },
  U8: { bytes: 1, decode: (b: ArrayBuffer) => new Uint8Array(b) },
  BOOL: { bytes: 1, decode: (b: ArrayBuffer) => new Uint8Array(b) },
};

// The reference implementation's limit.
const MAX_HEADER_BYTES = 100_000_000;

/**
 * Reads the header and no array. The caller closes the file.
 *
 * @throws {ModelError} when the file is truncated or its header is no valid one.
 */
export async function readSafetensors(file: RandomAccessFile): Promise<SafetensorsFile> {
  const refuse = (problem: string): ModelError =>
    new ModelError(`Cannot read safetensors file ${file.path}: ${problem}; fetch it again`);
  if (file.size < 8) throw refuse(`it has ${file.size} bytes, fewer than a header`);
  const prefix = await file.read(0, 8);
  const view = new DataView(prefix.buffer, prefix.byteOffset, 8);
  const headerBytes = view.getUint32(4, true) * 0x1_0000_0000 + view.getUint32(0, true);
  if (headerBytes > MAX_HEADER_BYTES || headerBytes > file.size - 8) {
    throw refuse(
      `its first 8 bytes claim a header of ${headerBytes} bytes, but the file has ${file.size} ` +
        `(and ${MAX_HEADER_BYTES} is the most that a header may have)`,
    );
  }
  const headerText = await file.read(8, headerBytes), header = parseObject(headerText);
  if (!header) throw refuse("its header is no JSON object");
  if (entryCount(headerText) !== Object.keys(header).length) throw refuse("its header holds an array twice");

  const metadata = new Map<string, string>();
  const arrays = new Map<string, StoredArray>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === "__metadata__") {
      for (const [key, value] of Object.entries(entry ?? {})) {
        if (typeof value !== "string") throw refuse("its __metadata__ holds other things than texts");
        metadata.set(key, value);
      }
      continue;
    }
    const array = storedArray(entry, 8 + headerBytes, file.size);
    if (typeof array === "string") throw refuse(`array ${JSON.stringify(name.slice(0, 80))} ${array}`);
    arrays.set(name, array);
  }
  const twice = overlapping(arrays);
  if (twice) throw refuse(`arrays ${twice.map((name) => JSON.stringify(name.slice(0, 80))).join(" and ")} overlap`);

  const bytes = async (name: string): Promise<Uint8Array<ArrayBuffer>> => {
    const array = arrays.get(name);
    if (!array) throw new ModelError(`Cannot read array ${name}: safetensors file ${file.path} has none of that name`);
    return new Uint8Array(await file.read(array.offset, array.byteLength));
  };
  return {
    path: file.path,
    metadata,
    arrays,
    bytes,
    slice: (offset, byteLength) => file.read(offset, byteLength),
    async read(name) {
      const { buffer } = await bytes(name);
      const { dtype, shape } = arrays.get(name)!;
      return { shape: [...shape], data: DTYPES[dtype].decode(buffer) };
    },
    close: () => file.close(),
  };
}

/** JSON object in UTF-8, or null where it is none. */
export function parseObject(bytes: Uint8Array): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : null;
  } catch {
    return null; // also nesting deeper than the parser's stack
  }
}

/** Entries of a JSON object as it stands there, where `JSON.parse` keeps one of two of the same name. */
function entryCount(json: Uint8Array): number {
  const QUOTE = 0x22, BACKSLASH = 0x5c, COLON = 0x3a;
  let depth = 0, count = 0, inText = false;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]!;
    if (inText) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inText = false;
    } else if (byte === QUOTE) inText = true;
    else if (byte === 0x7b || byte === 0x5b) depth++;
    else if (byte === 0x7d || byte === 0x5d) depth--;
    else if (byte === COLON && depth === 1) count++;
  }
  return count;
}

/** Two arrays that have bytes in common: a file may claim any number of large ones over the same few bytes. */
function overlapping(arrays: ReadonlyMap<string, StoredArray>): [string, string] | null {
  const filled = [...arrays].filter(([, { byteLength }]) => byteLength > 0);
  const inOrder = filled.sort(([, a], [, b]) => a.offset - b.offset);
  for (let i = 1; i < inOrder.length; i++) {
    const [before, { offset, byteLength }] = inOrder[i - 1]!, [name, array] = inOrder[i]!;
    if (array.offset < offset + byteLength) return [before, name];
  }
  return null;
}

/** One header entry, or what is wrong with it. */
function storedArray(entry: unknown, dataStart: number, fileSize: number): StoredArray | string {
  const { dtype, shape, data_offsets: offsets } = (entry ?? {}) as Record<string, unknown>;
  if (typeof dtype !== "string" || !Object.hasOwn(DTYPES, dtype)) {
    return `has dtype ${JSON.stringify(dtype)?.slice(0, 40) ?? "missing"}, where ${
      Object.keys(DTYPES).join(", ")
    } work`;
  }
  const isCount = (n: unknown): n is number => typeof n === "number" && Number.isSafeInteger(n) && n >= 0;
  if (!Array.isArray(shape) || !shape.every(isCount)) return "has no valid shape";
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount)) return "has no valid data_offsets";
  const [begin, end] = offsets as [number, number];
  const byteLength = shape.reduce((product, n) => product * n, DTYPES[dtype as Dtype].bytes);
  if (end - begin !== byteLength) {
    return `has shape [${shape.join(", ")}] of ${dtype} and ${end - begin} bytes, where they take ${byteLength}`;
  }
  if (dataStart + end > fileSize) return `ends at byte ${dataStart + end}, but the file has ${fileSize} bytes`;
  return { dtype: dtype as Dtype, shape, offset: dataStart + begin, byteLength };
}

function decodeBf16(buffer: ArrayBuffer): Float32Array {
  return new Float32Array(Uint32Array.from(new Uint16Array(buffer), (bits) => bits << 16).buffer);
}
