/** Writes a large GGUF file of the `llama` architecture with random weights in Q8_0, tensor by tensor, whose tokens are bytes and fillers. */
import { open } from "node:fs/promises";
import { ggufHeader, type HeaderTensor, type HeaderValue } from "./gguf_header.ts";

const HEADS = 24, KV_HEADS = 8, HEAD = 128;
const Q8_0 = { id: 8, values: 32, bytes: 34 };
/** Whole blocks, and whole words. */
const PIECE = 34 * (1 << 20);
const words = new Uint32Array(PIECE / 4), bytes = new Uint8Array(words.buffer);

/** Of one layer: rows and columns. */
const MATRICES = (hidden: number, ffn: number): [string, number, number][] => [
  ["attn_q", HEADS * HEAD, hidden],
  ["attn_k", KV_HEADS * HEAD, hidden],
  ["attn_v", KV_HEADS * HEAD, hidden],
  ["attn_output", hidden, HEADS * HEAD],
  ["ffn_gate", ffn, hidden],
  ["ffn_up", ffn, hidden],
  ["ffn_down", hidden, ffn],
];

/**
 * The shape of Llama 3.2 3B, with so many layers: 28 make 3.4 GB. Weights of a layer depend on its distance from the last one only.
 * @param idle first layers that add nothing, so that a model computes what one without them does
 * @returns bytes written
 */
export async function writeBigModel(path: string, layers: number, idle = 0): Promise<number> {
  const hidden = HEADS * HEAD, ffn = 8192, vocab = 128256;
  const tensors: HeaderTensor[] = [];
  let offset = 0;
  const add = (name: string, shape: number[]) => {
    const count = shape.reduce((a, b) => a * b, 1), isMatrix = shape.length > 1;
    const bytes = isMatrix ? count / Q8_0.values * Q8_0.bytes : 4 * count;
    tensors.push({ name: `${name}.weight`, shape, type: isMatrix ? Q8_0.id : 0, offset, bytes });
    offset += 32 * Math.ceil(bytes / 32);
  };
  add("token_embd", [vocab, hidden]);
  add("output_norm", [hidden]);
  for (let layer = 0; layer < layers; layer++) {
    for (const name of ["attn_norm", "ffn_norm"]) add(`blk.${layer}.${name}`, [hidden]);
    for (const [name, rows, columns] of MATRICES(hidden, ffn)) add(`blk.${layer}.${name}`, [rows, columns]);
  }
  const metadata: [string, HeaderValue][] = [
    ["general.architecture", "llama"],
    ["general.name", "random weights"],
    ["llama.block_count", layers],
    ["llama.context_length", 8192],
    ["llama.embedding_length", hidden],
    ["llama.feed_forward_length", ffn],
    ["llama.attention.head_count", HEADS],
    ["llama.attention.head_count_kv", KV_HEADS],
    ["llama.attention.layer_norm_rms_epsilon", { float: 1e-5 }],
    ["tokenizer.ggml.model", "gpt2"],
    ["tokenizer.ggml.pre", "smollm"],
    ["tokenizer.ggml.tokens", byteTokens(vocab)],
    ["tokenizer.ggml.token_type", new Int32Array(vocab).fill(1).fill(3, 0, 1)],
    ["tokenizer.ggml.merges", []],
    ["tokenizer.ggml.eos_token_id", 0],
    ["tokenizer.ggml.bos_token_id", 0],
  ];
  const file = await open(path, "w");
  try {
    await file.write(ggufHeader(metadata, tensors));
    const zeros = new Uint8Array(32), nothing = new Uint8Array(PIECE);
    let written = 0;
    for (const { name, type, bytes } of tensors) {
      const [, layer, own] = /^blk\.(\d+)\.(.*)$/.exec(name) ?? [], isIdle = Number(layer) < idle;
      const isZero = isIdle && /^(attn_output|ffn_down)/.test(own!);
      const random = randomBlocks(own ? `${layers - Number(layer)} before the end: ${own}` : name);
      const nextBlocks = isZero ? (most: number) => nothing.subarray(0, most) : random;
      if (type === 0) await file.write(new Uint8Array(new Float32Array(bytes / 4).fill(1).buffer));
      else {
        for (let left = bytes; left > 0;) left -= (await file.write(nextBlocks(left))).bytesWritten;
      }
      written += bytes;
      const gap = (32 - written % 32) % 32;
      if (gap > 0) await file.write(zeros, 0, gap);
      written += gap;
    }
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

/**
 * Gives blocks, `most` bytes of them or fewer: integers of any size, and scales that make values of about 0.02. No two tensors may be equal: ONNX Runtime
 * keeps equal ones once.
 */
function randomBlocks(seed: string): (most: number) => Uint8Array {
  let state = 1;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state, 31) + seed.charCodeAt(i) | 0;
  return (most) => {
    const length = Math.min(most, bytes.length);
    for (let i = 0; 4 * i < length; i++) {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      words[i] = state;
    }
    for (let i = 0; i < length; i += Q8_0.bytes) {
      bytes[i] = 0x40 + (bytes[i]! & 63);
      bytes[i + 1] = 0x09; // f16: about 0.00015
    }
    return bytes.subarray(0, length);
  };
}

/** GPT-2's letters for bytes behind one end token, then names that no text has. */
function byteTokens(count: number): string[] {
  const letters: string[] = [];
  let standIn = 256;
  for (let byte = 0; byte < 256; byte++) {
    const printable = (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
    letters.push(String.fromCharCode(printable ? byte : standIn++));
  }
  return Array.from({ length: count }, (_, i) => i === 0 ? "<|end|>" : letters[i - 1] ?? `<filler ${i}>`);
}
