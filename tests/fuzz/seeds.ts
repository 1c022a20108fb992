/** Small valid models of every family, to be damaged: the golden ones' configurations with few numbers, and random weights. */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { architectureOf, huggingFaceConfig } from "../../core/engine/safetensors/config.ts";
import { expectedTensors } from "../../core/engine/architectures/tensors.ts";
import { safetensorsBytes } from "../engine/safetensors_bytes.ts";
import { writeFolder } from "../golden/as_folder.ts";
import { asGguf } from "../golden/as_gguf.ts";
import { list } from "../golden/open.ts";
import { fixture } from "../host.ts";
import { randomTensor } from "../packs.ts";

export interface SmallModel {
  family: string;
  gguf: Uint8Array;
  /** Contents by name. */
  folder: Record<string, Uint8Array>;
}

const HIDDEN = 32, HEADS = 2, KV_HEADS = 1, HEAD_DIM = 16, LAYERS = 2, VOCAB = 270;

/** @param scratch where files may be written */
export async function smallModels(scratch: string): Promise<SmallModel[]> {
  const models: SmallModel[] = [];
  for (const family of await list(fixture("golden/models"))) {
    if (family.endsWith("_long")) continue;
    const plain = join(scratch, family), whole = join(scratch, `${family}-folder`);
    await mkdir(plain, { recursive: true });
    const json = { ...JSON.parse(await readFile(fixture(`golden/models/${family}/config.json`), "utf8")), ...SIZES };
    if (Array.isArray(json.layer_types)) json.layer_types = ["sliding_attention", "full_attention"];
    if (family !== "gemma3_text") delete json.layer_types;
    delete json.no_rope_layers;
    await writeFile(join(plain, "config.json"), JSON.stringify(json));
    const architecture = architectureOf(plain, json), config = huggingFaceConfig(plain, architecture, json, family);
    const fused = architecture.fused?.(config) ?? {}, tensors: Parameters<typeof safetensorsBytes>[0] = {};
    let seed = 0;
    for (const [name, shape] of expectedTensors(config)) {
      const [, prefix, own] = /^(layers\.\d+\.)(.+)$/.exec(name) ?? [];
      const whole = Object.entries(fused).find(([, parts]) => parts.some(([part]) => part === own));
      const rows = whole ? whole[1].reduce((sum, [, count]) => sum + count, 0) : shape[0]!;
      const stored = (whole ? prefix! + whole[0] : name).replace(/(\.bias)?$/, (bias) => bias || ".weight");
      tensors[name === "lm_head" ? stored : `model.${stored}`] ??= randomTensor([rows, ...shape.slice(1)], seed++, 0.3);
    }
    await writeFile(join(plain, "model.safetensors"), safetensorsBytes(tensors, { format: "pt" }));
    await writeFolder(plain, whole, { dtype: "F16", shards: 2 });
    const folder: Record<string, Uint8Array> = {};
    for (const name of await list(whole)) folder[name] = new Uint8Array(await readFile(join(whole, name)));
    models.push({ family, gguf: await asGguf(plain), folder });
  }
  return models;
}

const SIZES = {
  hidden_size: HIDDEN,
  intermediate_size: HIDDEN,
  num_hidden_layers: LAYERS,
  num_attention_heads: HEADS,
  num_key_value_heads: KV_HEADS,
  head_dim: HEAD_DIM,
  vocab_size: VOCAB,
};
