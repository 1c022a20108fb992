/** Models that open after all, read a document and write a few tokens: numbers of their weights and configurations are others. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadOnnxRuntimeNode } from "../../../cli/runtimes/native.ts";
import { answer, openModel } from "../../../mod.ts";
import { files } from "../../host.ts";
import { type Kind, Wrong } from "../kind.ts";
import { EDGES, mutatedJson, spelledJson } from "../mutate.ts";
import type { Random } from "../random.ts";
import { type SmallModel, smallModels } from "../seeds.ts";
import { TEXTS } from "../use.ts";
import { fieldsOf, withOtherFields } from "./gguf.ts";

export const engine: Kind = {
  name: "engine",
  share: 1,
  // a model whose sizes are absurd may not fit, either
  codes: [4, 5],
  async prepare(folder) {
    const models = await smallModels(folder), place = join(folder, "engine");
    return async (random) => {
      await rm(place, { recursive: true, force: true });
      await mkdir(join(place, "m"), { recursive: true });
      const path = await written(random, random.pick(models), place);
      const model = await openModel({
        path,
        sha256: "0".repeat(64),
        device: "cpu",
        threads: 1,
        cacheFolder: place,
        files,
        policy: "snapkv",
        weights: random.pick(["blocks", "f32"]),
        runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
      });
      try {
        let text = "";
        const chunks = async function* () {
          yield new TextEncoder().encode(TEXTS[0]!);
        };
        const events = answer(model, {
          command: "ask",
          sources: [{ name: "d.txt", chunks: chunks() }],
          instruction: "Why?",
          policy: "snapkv",
          budget: { slots: 64 },
          chunkTokens: 16,
          positions: "auto",
          maxTokens: 4,
          strict: false,
          availableBytes: 1e9,
          peakRssBytes: () => 0,
        });
        for await (const event of events) if (event.type === "text") text += event.text;
        if (text.length > 10_000) throw new Wrong(`four tokens made ${text.length} characters`);
      } finally {
        await model.close();
      }
      return true;
    };
  },
};

/** @returns the model's path */
async function written(random: Random, { gguf, folder }: SmallModel, place: string): Promise<string> {
  if (random.chance(0.5)) {
    const path = join(place, "m.gguf");
    await writeFile(
      path,
      random.chance(0.5) ? withOtherFields(random, gguf, fieldsOf(gguf)) : withWeights(random, gguf),
    );
    return path;
  }
  for (const [name, bytes] of Object.entries(folder)) {
    const isWeights = name.endsWith(".safetensors");
    const changed = name === "config.json" && random.chance(0.7)
      ? spelledJson(random, withNumbers(random, JSON.parse(new TextDecoder().decode(bytes))))
      : name === "tokenizer.json" && random.chance(0.2)
      ? spelledJson(random, mutatedJson(random, JSON.parse(new TextDecoder().decode(bytes))))
      : isWeights && random.chance(0.3)
      ? withWeights(random, bytes)
      : bytes;
    await writeFile(join(place, "m", name), changed);
  }
  return join(place, "m");
}

/** Some weights are others: not numbers, too large, all the same. */
function withWeights(random: Random, bytes: Uint8Array): Uint8Array {
  const out = bytes.slice(), view = new DataView(out.buffer), from = Math.floor(bytes.length / 2);
  const way = random.below(3), times = random.pick([1, 40, 4000]);
  for (let i = 0; i < times; i++) {
    const at = from + 4 * random.below((bytes.length - from) / 4 - 1) & ~3;
    view.setFloat32(at, way === 0 ? random.pick([NaN, Infinity]) : way === 1 ? 3e38 * (random.next() - 0.5) : 0, true);
  }
  return out;
}

const VALUES = [...EDGES, 1e-300, 1e300, 1e38, 1e-38, 0.1];

/** Numbers that decide over no tensor's shape are others. */
function withNumbers(random: Random, config: Record<string, unknown>): unknown {
  const keys = ["rms_norm_eps", "rope_theta", "max_position_embeddings", "sliding_window", "query_pre_attn_scalar"]
    .concat("original_max_position_embeddings", "partial_rotary_factor", "no_rope_layer_interval");
  const key = random.pick(keys);
  if (key === "rope_theta") config.rope_parameters = { rope_theta: random.pick(VALUES), rope_type: "default" };
  else config[key] = random.pick(VALUES);
  return config;
}
