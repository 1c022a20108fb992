/**
 * Writes a golden model as a hub publishes models: a folder with a tokenizer, in full or half precision, its weights in one file or in several. The
 * tokenizer is the one that `as_gguf.ts` writes.
 */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { safetensorsBytes, type StoredTensor } from "../engine/safetensors_bytes.ts";
import { tokensOf } from "./as_gguf.ts";
import { readArrays, readJson } from "./open.ts";

export interface FolderForm {
  dtype: "F32" | "F16" | "BF16";
  /** Files that the weights are spread over, with an index. Default: one, without. */
  shards?: number;
}

/** @param golden `config.json` and `model.safetensors` in float32 */
export async function writeFolder(golden: string, folder: string, { dtype, shards = 1 }: FolderForm): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = await readJson(join(golden, "config.json"));
  await copyFile(join(golden, "config.json"), join(folder, "config.json"));
  await writeFile(join(folder, "generation_config.json"), JSON.stringify({ bos_token_id: 1, eos_token_id: 2 }));
  await writeFile(join(folder, "tokenizer.json"), JSON.stringify(tokenizerJson(config.vocab_size)));
  await writeFile(
    join(folder, "tokenizer_config.json"),
    JSON.stringify({ bos_token: "<s>", eos_token: "</s>", add_bos_token: false }),
  );
  const arrays = await readArrays(join(golden, "model.safetensors"));
  const tensors = arrays.names.map((name): [string, StoredTensor] => [
    name,
    { dtype, shape: arrays.shape(name), bytes: stored(Float32Array.from(arrays.data(name)), dtype) },
  ]);
  if (shards === 1) return await writeFile(join(folder, "model.safetensors"), part(tensors));
  const weight_map: Record<string, string> = {}, each = Math.ceil(tensors.length / shards);
  for (let i = 0; i < shards; i++) {
    const number = (n: number) => String(n).padStart(5, "0"), mine = tensors.slice(i * each, (i + 1) * each);
    const name = `model-${number(i + 1)}-of-${number(shards)}.safetensors`;
    for (const [tensor] of mine) weight_map[tensor] = name;
    await writeFile(join(folder, name), part(mine));
  }
  await writeFile(join(folder, "model.safetensors.index.json"), JSON.stringify({ metadata: {}, weight_map }));
}

const part = (tensors: [string, StoredTensor][]) => safetensorsBytes(Object.fromEntries(tensors), { format: "pt" });

function stored(values: Float32Array, dtype: FolderForm["dtype"]): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.buffer);
  if (dtype === "F16") {
    const view = new DataView(new ArrayBuffer(values.length * 2));
    values.forEach((value, i) => view.setFloat16(i * 2, value, true));
    return new Uint8Array(view.buffer);
  }
  // to the nearest, ties to even
  const bits = new Uint32Array(values.buffer);
  return new Uint8Array(Uint16Array.from(bits, (word) => (word + 0x7fff + (word >>> 16 & 1)) >>> 16).buffer);
}

function tokenizerJson(count: number): object {
  const tokens = tokensOf(count).map(([token]) => token);
  return {
    added_tokens: tokens.slice(0, 3).map((content, id) => ({ id, content, special: true })),
    normalizer: {
      type: "Sequence",
      normalizers: [{ type: "Prepend", prepend: "▁" }, {
        type: "Replace",
        pattern: { String: " " },
        content: "▁",
      }],
    },
    pre_tokenizer: null,
    decoder: {
      type: "Sequence",
      decoders: [{ type: "Replace", pattern: { String: "▁" }, content: " " }, { type: "ByteFallback" }, {
        type: "Fuse",
      }],
    },
    model: {
      type: "BPE",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: [],
      unk_token: "<unk>",
      fuse_unk: true,
      byte_fallback: true,
    },
  };
}
