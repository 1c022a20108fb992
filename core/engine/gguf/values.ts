/** Values of GGUF metadata. Counts and lengths are compared with what the file can hold before memory is taken. */
import type { Cursor } from "./cursor.ts";

// Larger than anything in use (2026: 256k tokens, 500k merges), small enough to allocate.
const MAX_STRING_BYTES = 1 << 24;
const MAX_NAME_BYTES = 65535;
/** Elements of all arrays of a file together. */
export const MAX_ARRAY_ELEMENTS = 1 << 24;
const MAX_ARRAY_DEPTH = 4;

const STRING = 8, ARRAY = 9;
/** Bytes of a value by its type number; the least that a string or an array takes. */
const VALUE_BYTES = [1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8];

/** A metadata key or tensor name. */
export function readKey(cursor: Cursor): Promise<string> {
  return readString(cursor, MAX_NAME_BYTES);
}

async function readString(cursor: Cursor, maxBytes: number): Promise<string> {
  await cursor.need(8);
  const length = cursor.u64();
  const most = Math.min(maxBytes, cursor.remaining);
  if (length > most) {
    throw cursor.error(
      `a string at byte ${cursor.offset} claims ${length} bytes, where at most ${most} can be; ` +
        "the file is truncated or damaged, so fetch it again",
    );
  }
  await cursor.need(length);
  return cursor.text(length);
}

/** The next string when all of it is in the window, else null and nothing is consumed. */
function stringAtHand(cursor: Cursor): string | null {
  const length = cursor.peekLength();
  if (length === null || !cursor.has(8 + length)) return null;
  cursor.u64();
  return cursor.text(length);
}

/** The value of `key`, of which `budget.elements` array elements are left. */
export async function readValue(
  cursor: Cursor,
  type: number,
  key: string,
  budget: { elements: number },
  depth: number,
): Promise<unknown> {
  if (type === STRING) return readString(cursor, MAX_STRING_BYTES);
  if (type === ARRAY) return readArray(cursor, key, budget, depth + 1);
  if (type >= VALUE_BYTES.length) {
    throw cursor.error(`metadata key ${quote(key)} has value type ${type}; types 0 to 12 exist`);
  }
  await cursor.need(VALUE_BYTES[type]);
  return scalar(cursor, type);
}

function scalar(cursor: Cursor, type: number): number | boolean {
  switch (type) {
    case 0:
      return cursor.u8();
    case 1:
      return cursor.i8();
    case 2:
      return cursor.u16();
    case 3:
      return cursor.i16();
    case 4:
      return cursor.u32();
    case 5:
      return cursor.i32();
    case 6:
      return cursor.f32();
    case 7:
      return cursor.u8() !== 0;
    case 10:
      return cursor.u64();
    case 11:
      return cursor.i64();
    default:
      return cursor.f64();
  }
}

async function readArray(cursor: Cursor, key: string, budget: { elements: number }, depth: number): Promise<unknown[]> {
  await cursor.need(12);
  const type = cursor.u32();
  const count = cursor.u64();
  if (type >= VALUE_BYTES.length) {
    throw cursor.error(`array ${quote(key)} has element type ${type}; types 0 to 12 exist`);
  }
  if (depth > MAX_ARRAY_DEPTH) throw cursor.error(`array ${quote(key)} is nested more than ${MAX_ARRAY_DEPTH} deep`);
  if (count > budget.elements || count * VALUE_BYTES[type] > cursor.remaining) {
    throw cursor.error(`array ${quote(key)} claims ${count} elements, more than fit into the file; fetch it again`);
  }
  budget.elements -= count;
  const values = new Array<unknown>(count);
  if (type === STRING) {
    for (let i = 0; i < count; i++) {
      // Without a promise per string: 256k of them are usual.
      const text = stringAtHand(cursor);
      values[i] = text === null ? await readString(cursor, MAX_STRING_BYTES) : text;
    }
  } else if (type === ARRAY) {
    for (let i = 0; i < count; i++) values[i] = await readArray(cursor, key, budget, depth + 1);
  } else {
    const bytes = VALUE_BYTES[type];
    for (let i = 0; i < count; i++) {
      if (!cursor.has(bytes)) await cursor.need(bytes);
      values[i] = scalar(cursor, type);
    }
  }
  return values;
}

/** Any value of a file for a message, short. */
export function shown(value: unknown): string {
  if (value === undefined) return "missing";
  if (typeof value === "string") return quote(value);
  const text = JSON.stringify(value);
  return text.length > 80 ? text.slice(0, 80) + "…" : text;
}

/** A name from the file for a message: printable and short. */
export function quote(name: string): string {
  return JSON.stringify(name.length > 80 ? name.slice(0, 80) + "…" : name);
}
