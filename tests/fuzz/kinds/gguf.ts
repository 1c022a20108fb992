/** GGUF files: header fields that lie, values of other types, bytes that changed. */
import { openGguf } from "../../../core/engine/gguf.ts";
import { f32, ggufBytes, type GgufValue, text, texts, tinyLlama, u32 } from "../../engine/gguf_bytes.ts";
import { memoryFile } from "../../host.ts";
import type { Kind } from "../kind.ts";
import { EDGES, mutatedBytes } from "../mutate.ts";
import type { Random } from "../random.ts";
import { smallModels } from "../seeds.ts";
import { readAll, useTokenizer } from "../use.ts";

export const gguf: Kind = {
  name: "gguf",
  share: 24,
  codes: [5],
  async prepare(folder) {
    const models = (await smallModels(folder)).map(({ gguf }) => ({ bytes: gguf, fields: fieldsOf(gguf) }));
    return async (random) => {
      const { bytes, fields } = random.pick(models);
      const way = random.next();
      const file = memoryFile(
        way < 0.25
          ? mutatedBytes(random, bytes)
          : way < 0.75
          ? withOtherFields(random, bytes, fields)
          : tinyWithOthers(random),
      );
      const model = await openGguf(file);
      try {
        await readAll(model);
        if (model.metadata.has("tokenizer.ggml.model")) await useTokenizer(random, model);
      } finally {
        await model.close();
      }
      return true;
    };
  },
};

/** Where numbers stand in the header. */
export interface Field {
  at: number;
  bytes: 1 | 4 | 8;
  isFloat: boolean;
}

/** Every count, length, type, dimension, offset and value of a header, as the format has them. */
export function fieldsOf(bytes: Uint8Array): Field[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset), fields: Field[] = [];
  let at = 4;
  const number = (size: 1 | 4 | 8, isFloat = false) => {
    fields.push({ at, bytes: size, isFloat });
    at += size;
    if (size === 1) return view.getUint8(at - 1);
    return size === 4 ? view.getUint32(at - 4, true) : Number(view.getBigUint64(at - 8, true));
  };
  const skipText = () => {
    const length = number(8);
    at += length;
  };
  const value = (type: number): void => {
    if (type === 8) return skipText();
    if (type !== 9) return void number(type === 7 ? 1 : type === 10 || type === 12 ? 8 : 4, type === 6);
    const element = number(4), count = number(8);
    // of a vocabulary's texts and scores a few are enough
    const kept = fields.length + 40;
    for (let i = 0; i < count; i++) value(element);
    fields.length = Math.min(fields.length, kept);
  };
  number(4);
  const tensors = number(8), entries = number(8);
  for (let i = 0; i < entries; i++) {
    skipText();
    value(number(4));
  }
  for (let i = 0; i < tensors; i++) {
    skipText();
    const dimensions = number(4);
    for (let d = 0; d < dimensions; d++) number(8);
    number(4);
    number(8);
  }
  return fields;
}

const FLOATS = [NaN, Infinity, -Infinity, 0, -1, 1e38, 1e-40];

export function withOtherFields(random: Random, bytes: Uint8Array, fields: readonly Field[]): Uint8Array {
  const out = bytes.slice(), view = new DataView(out.buffer), times = 1 + random.below(2);
  for (let i = 0; i < times; i++) {
    const { at, bytes: size, isFloat } = random.pick(fields);
    const near = random.chance(0.4) ? random.pick([-1, 1, 2, 16]) : null;
    if (isFloat) view.setFloat32(at, random.pick(FLOATS), true);
    else if (size === 1) out[at] = random.below(256);
    else if (size === 4) {
      view.setUint32(at, near === null ? random.pick(EDGES) % 2 ** 32 : view.getUint32(at, true) + near, true);
    } else {
      const before = view.getBigUint64(at, true);
      view.setBigUint64(
        at,
        near === null ? BigInt(random.pick(EDGES)) : BigInt.asUintN(64, before + BigInt(near)),
        true,
      );
    }
  }
  return out;
}

/** The smallest model with values of any type under any key. */
function tinyWithOthers(random: Random): Uint8Array {
  const { metadata, tensors } = tinyLlama(), keys = [...metadata.map(([key]) => key), ...MORE_KEYS];
  const changes = 1 + random.below(3),
    tokens = ["<unk>", "<s>", "</s>", "▁a", random.pick(["b", " ", "", "\0", "<0x41>"])];
  const all = new Map<string, GgufValue>([
    ...metadata,
    ["tokenizer.ggml.model", text(random.pick(["llama", "gpt2", "t5"]))],
    ["tokenizer.ggml.tokens", texts(tokens)],
    ["tokenizer.ggml.merges", texts(["▁ a", "a b"])],
    ["tokenizer.ggml.scores", { type: 9, element: 6, value: [0, 0, 0, -1, -2] }],
    ["tokenizer.ggml.token_type", { type: 9, element: 5, value: [2, 3, 3, 1, random.below(8)] }],
  ]);
  for (let i = 0; i < changes; i++) {
    const key = random.pick(keys);
    if (random.chance(0.15)) all.delete(key);
    else all.set(key, someValue(random, 0));
  }
  if (random.chance(0.3)) {
    const tensor = random.pick(tensors);
    const way = random.below(3);
    if (way === 0) tensor.type = random.below(45);
    else if (way === 1) tensor.shape = tensor.shape.map((n) => random.chance(0.5) ? n : random.pick(EDGES));
    else tensor.offset = random.pick(EDGES);
  }
  return ggufBytes({ metadata: [...all], tensors });
}

const MORE_KEYS = [
  "general.name",
  "general.alignment",
  "split.count",
  "llama.rope.freq_base",
  "llama.rope.dimension_count",
  "llama.rope.scaling.type",
  "llama.rope.scaling.factor",
  "llama.attention.key_length",
  "llama.expert_count",
  "tokenizer.ggml.pre",
  "tokenizer.ggml.tokens",
  "tokenizer.ggml.merges",
  "tokenizer.ggml.scores",
  "tokenizer.ggml.token_type",
  "tokenizer.ggml.bos_token_id",
  "tokenizer.ggml.eos_token_id",
  "tokenizer.ggml.unknown_token_id",
  "tokenizer.ggml.add_bos_token",
  "tokenizer.ggml.add_space_prefix",
  "tokenizer.ggml.precompiled_charsmap",
  "tokenizer.chat_template",
];

function someValue(random: Random, depth: number): GgufValue {
  const long = random.pick(["", "x", "ab", "llama", "{{ messages[0].content }}", "y".repeat(70_000), "\0\ud800"]);
  const of = (): GgufValue =>
    random.pick<() => GgufValue>([
      () => u32(random.pick(EDGES) % 2 ** 32),
      () => f32(random.pick(FLOATS)),
      () => text(long),
      () => ({ type: 7, value: random.chance(0.5) }),
      () => ({ type: 10, value: random.pick(EDGES) }),
      () => ({ type: 12, value: random.pick(FLOATS) }),
      () => texts(Array.from({ length: random.pick([0, 1, 5, 300]) }, (_, i) => random.pick(["", "a", `t${i}`, " "]))),
      () => ({ type: 9, element: 6, value: Array.from({ length: 5 }, () => random.pick(FLOATS)) }),
      () => ({ type: 9, element: 5, value: Array.from({ length: 5 }, () => random.below(9) - 1) }),
      () => ({ type: 9, element: 4, value: [1], count: random.pick(EDGES) }),
      () => ({
        type: 9,
        element: 9,
        value: depth < 6 ? [someValue(random, depth + 1)].filter((v) => "element" in v) : [],
      }),
    ])();
  return of();
}
