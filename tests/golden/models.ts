/**
 * `models/<architecture>`: logits, hidden states and greedy tokens of tiny models, prefilled in one piece and in odd chunks. Each model is opened in both
 * forms of its configuration, and once more as a GGUF file.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { argmax } from "../../core/decode/write.ts";
import { asGguf } from "./as_gguf.ts";
import type { GoldenDevice, TestedModel } from "./device.ts";
import { type Arrays, isSupported, list, readArrays, readJson } from "./open.ts";
import { type Check, close, equal, notYet, type Vector } from "./report.ts";

const LOGITS = 2e-4;
/** Beside the whole prompt: single tokens, few rows (decomposed attention), many rows (fused attention) with odd rests. */
const CHUNKS = [1, 7, 33, 100];

interface Golden {
  model_type: string;
  prompt_ids: number[];
  greedy_ids: number[];
  greedy_logit_steps: number[];
}

export async function modelVectors(root: string, device: GoldenDevice): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const name of await list(join(root, "models"))) {
    const folder = join(root, "models", name);
    const golden: Golden = await readJson(join(folder, "golden.json"));
    // either form of the configuration must give the same model
    for (const configFile of (await list(folder)).filter((file) => /^config(\.\w+)?\.json$/.test(file))) {
      const vector = `models/${name}/golden.safetensors (${configFile})`;
      if (!isSupported(golden.model_type)) vectors.push(notYet(vector, `architecture ${golden.model_type}`));
      else vectors.push({ name: vector, run: () => check(folder, folder, golden, device, configFile) });
    }
    if (isSupported(golden.model_type)) {
      vectors.push({
        name: `models/${name}/golden.safetensors (as GGUF)`,
        async run() {
          const own = await mkdtemp(join(tmpdir(), "palimpsest-golden-")), path = join(own, `${name}.gguf`);
          try {
            await writeFile(path, await asGguf(folder));
            return await check(folder, path, golden, device);
          } finally {
            await rm(own, { recursive: true, force: true });
          }
        },
      });
    }
  }
  return vectors;
}

/** @param path what is opened: a GGUF file, or the folder with one of its configurations */
async function check(
  folder: string,
  path: string,
  golden: Golden,
  device: GoldenDevice,
  configFile?: string,
): Promise<Check[]> {
  const asked = await readArrays(join(folder, "golden.safetensors"));
  return await device.model(
    path,
    { ...(configFile ? { configFile } : {}), features: { hidden: true } },
    async (model) => {
      const checks: Check[] = [];
      for (const size of [golden.prompt_ids.length, ...CHUNKS]) {
        if (size <= golden.prompt_ids.length) checks.push(...await prompt(model, golden, asked, size));
      }
      checks.push(...await greedy(model, golden, asked));
      return checks;
    },
  );
}

async function prompt(model: TestedModel, golden: Golden, asked: Arrays, size: number): Promise<Check[]> {
  const ids = golden.prompt_ids, memory = model.memory(ids.length);
  const { logits, hiddenLast } = await memory.forward(ids, { size, logitsRows: asked.shape("logits_last8")[0]! });
  memory.close();
  const how = size === ids.length ? "in one piece" : `in chunks of ${size}`;
  return [
    close(`logits_last8 ${how}`, logits, asked.data("logits_last8"), LOGITS),
    close(`hidden_last ${how}`, hiddenLast!, asked.data("hidden_last"), LOGITS),
  ];
}

async function greedy(model: TestedModel, golden: Golden, asked: Arrays): Promise<Check[]> {
  const { vocab } = model.config, { prompt_ids, greedy_ids, greedy_logit_steps: steps } = golden;
  const memory = model.memory(prompt_ids.length + greedy_ids.length);
  let { logits } = await memory.forward(prompt_ids, { logitsRows: 1 });
  const ids: number[] = [], kept = new Float32Array(steps.length * vocab);
  for (let step = 0; step < greedy_ids.length; step++) {
    const row = steps.indexOf(step);
    if (row >= 0) kept.set(logits, row * vocab);
    ids.push(argmax(logits));
    // its own tokens, not the reference's: this is what a user gets
    ({ logits } = await memory.forward([ids[step]!], { logitsRows: 1 }));
  }
  memory.close();
  return [
    equal("greedy_ids", ids, greedy_ids),
    close("greedy_logits", kept, asked.data("greedy_logits"), LOGITS),
  ];
}
