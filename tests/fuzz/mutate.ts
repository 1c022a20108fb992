/** What may happen to bytes, numbers, texts and JSON on their way here. */
import type { Random } from "./random.ts";

/** Numbers at which counts, lengths and offsets break. */
export const EDGES = [
  0,
  1,
  2,
  3,
  7,
  8,
  31,
  32,
  63,
  127,
  128,
  255,
  256,
  4095,
  65535,
  65536,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
]
  .concat([2 ** 32 - 1, 2 ** 32, 2 ** 40, 2 ** 52, 2 ** 53, 2 ** 60, 2 ** 63, 2 ** 64 - 2048]);
/** Other numbers that JSON may hold. */
const NUMBERS = [...EDGES, -1, -8, 0.5, 1e-9, 1e300, 1e999, -1e999, 5e-324, NaN];

/** Between none and a few of what can happen to bytes; the same array when nothing happens. */
export function mutatedBytes(random: Random, bytes: Uint8Array): Uint8Array {
  let out = bytes;
  const times = 1 + random.below(3);
  for (let i = 0; i < times; i++) out = mutatedOnce(random, out);
  return out;
}

function mutatedOnce(random: Random, bytes: Uint8Array): Uint8Array {
  if (bytes.length === 0) return Uint8Array.of(random.below(256));
  // beginnings hold what can lie
  const at = random.below(random.chance(0.7) ? Math.min(bytes.length, 600) : bytes.length);
  const out = bytes.slice(), view = new DataView(out.buffer), length = 1 + random.below(16);
  switch (random.below(9)) {
    case 0:
      out[at]! ^= 1 << random.below(8);
      return out;
    case 1:
      out[at] = random.below(256);
      return out;
    case 2:
      out.fill(random.pick([0, 255, 127, 128]), at, at + length);
      return out;
    case 3:
      return bytes.slice(0, random.chance(0.5) ? at : random.below(bytes.length));
    case 4:
      return joined(bytes.subarray(0, at), bytes.subarray(at + length));
    case 5:
      return joined(bytes.subarray(0, at), Uint8Array.from({ length }, () => random.below(256)), bytes.subarray(at));
    case 6: {
      const from = random.below(bytes.length);
      out.set(bytes.subarray(from, Math.min(from + 4 * length, from + bytes.length - at)), at);
      return out;
    }
    case 7:
      if (at + 4 <= out.length) view.setUint32(at, random.pick(EDGES) % 2 ** 32, true);
      return out;
    default:
      if (at + 8 <= out.length) view.setBigUint64(at, BigInt(random.pick(EDGES)), true);
      return out;
  }
}

export function joined(...parts: Uint8Array[]): Uint8Array {
  const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** Places in JSON, by the keys that lead there. */
type Path = (string | number)[];

/** A copy of a JSON value with a few changes; its lists and objects are left alone. */
export function mutatedJson(random: Random, value: unknown): unknown {
  let out = structuredClone(value);
  const times = 1 + random.below(2);
  for (let i = 0; i < times; i++) {
    const path = somePlace(random, out);
    const parent = path.slice(0, -1).reduce((at: any, key) => at[key], out) as any, key = path.at(-1);
    if (key === undefined) out = random.chance(0.02) ? otherValue(random, out) : out;
    else if (random.chance(0.2)) {
      if (Array.isArray(parent)) parent.splice(Number(key), 1 + random.below(3));
      else delete parent[key];
    } else if (random.chance(0.1)) {
      if (Array.isArray(parent)) parent.push(...parent.slice(0, 50));
      else parent[random.pick([`${key}_`, "__proto__", "constructor", "length"])] = parent[key];
    } else parent[key] = otherValue(random, parent[key]);
  }
  return out;
}

/** Goes down by chance: every level is as likely to be the last. */
function somePlace(random: Random, value: unknown): Path {
  const path: Path = [];
  let at = value;
  while (typeof at === "object" && at !== null) {
    const keys = Array.isArray(at) ? Array.from(at.keys()) : Object.keys(at);
    if (keys.length === 0 || path.length > 0 && random.chance(0.25)) break;
    const key = random.pick<string | number>(keys);
    path.push(key);
    at = (at as any)[key];
  }
  return path;
}

function otherValue(random: Random, value: unknown): unknown {
  if (typeof value === "number" && random.chance(0.7)) {
    return random.pick([...NUMBERS, value + 1, value - 1, -value, value * 2, value / 2]);
  }
  if (typeof value === "string" && random.chance(0.6)) return mutatedText(random, value);
  if (typeof value === "boolean" && random.chance(0.6)) return !value;
  return random.pick<unknown>([
    null,
    true,
    false,
    "",
    "x",
    [],
    {},
    [[]],
    [null],
    { a: 1 },
    value === undefined ? 1 : [value],
    random.pick(NUMBERS),
    "a".repeat(70_000),
    ["a", "b"],
    nested(random.pick([3, 600, 20_000])),
  ]);
}

const nested = (depth: number) => {
  let value: unknown = 1;
  for (let i = 0; i < depth; i++) value = [value];
  return value;
};

/** Characters that mean something somewhere. */
const TELLING = [
  "\0",
  "\n",
  "\ufeff",
  "\ud800",
  "🙂",
  "▁",
  "{{",
  "{%",
  "(",
  "*",
  "+",
  "\\",
  "../",
  "/",
  " ",
  "<0x0A>",
  "$&",
];

export function mutatedText(random: Random, text: string): string {
  const at = random.below(text.length + 1), other = random.pick(TELLING);
  switch (random.below(5)) {
    case 0:
      return text.slice(0, at);
    case 1:
      return text.slice(0, at) + other + text.slice(at);
    case 2:
      return text.slice(0, at) + text.slice(at + 1 + random.below(4));
    case 3:
      return text.slice(0, at) + text.slice(random.below(text.length + 1));
    default:
      return text.slice(0, at) + (text.slice(at, at + 8) || other).repeat(random.pick([2, 9, 3000])) + text.slice(at);
  }
}

/** JSON as files may spell it: numbers that JSON has not become such that it reads, and sometimes what is no JSON. */
export function spelledJson(random: Random, value: unknown): string {
  let text: string;
  try {
    text = JSON.stringify(value, (_, one) => typeof one === "number" && !Number.isFinite(one) ? `\0${one}` : one)
      .replace(/"\\u0000(-?)(?:Infinity|NaN)"/g, "$11e999");
  } catch {
    text = "[".repeat(50_000); // nested deeper than can be written
  }
  return random.chance(0.03) ? mutatedText(random, text) : text;
}
