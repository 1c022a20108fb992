/** `models/<architecture>`: logits, hidden states and greedy tokens of tiny models, prefilled in one piece and in odd chunks. */
import { join } from "node:path";
import { argmax } from "../../core/decode/write.ts";
import type { Engine } from "../../core/engine/engine.ts";
import { cacheFor, forward } from "./forward.ts";
import { type Arrays, isSupported, list, readArrays, readJson, using } from "./open.ts";
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

export async function modelVectors(root: string): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const name of await list(join(root, "models"))) {
    const folder = join(root, "models", name);
    const golden: Golden = await readJson(join(folder, "golden.json"));
    // either form of the configuration must give the same model
    for (const configFile of (await list(folder)).filter((file) => /^config(\.\w+)?\.json$/.test(file))) {
      const vector = `models/${name}/golden.safetensors (${configFile})`;
      if (!isSupported(golden.model_type)) vectors.push(notYet(vector, `architecture ${golden.model_type}`));
      else vectors.push({ name: vector, run: () => check(folder, configFile, golden) });
    }
  }
  return vectors;
}

async function check(folder: string, configFile: string, golden: Golden): Promise<Check[]> {
  const asked = await readArrays(join(folder, "golden.safetensors"));
  return await using(folder, { configFile, features: { hidden: true } }, async ({ engine }) => {
    const checks: Check[] = [];
    for (const size of [golden.prompt_ids.length, ...CHUNKS]) {
      if (size <= golden.prompt_ids.length) checks.push(...await prompt(engine, golden, asked, size));
    }
    checks.push(...await greedy(engine, golden, asked));
    return checks;
  });
}

async function prompt(engine: Engine, golden: Golden, asked: Arrays, size: number): Promise<Check[]> {
  const { hidden, layers } = engine.config, ids = golden.prompt_ids;
  const logitsRows = asked.shape("logits_last8")[0]!;
  const hiddenLast = new Float32Array((layers + 1) * hidden);
  const { logits } = await forward(engine, cacheFor(engine, ids.length), ids, {
    size,
    logitsRows,
    take: (result, _, rows) =>
      result.hidden!.forEach((layer, i) => {
        // the last layer is finished only where logits are wanted
        if (layer.length > 0) hiddenLast.set(layer.subarray((rows - 1) * hidden, rows * hidden), i * hidden);
      }),
  });
  const how = size === ids.length ? "in one piece" : `in chunks of ${size}`;
  return [
    close(`logits_last8 ${how}`, logits, asked.data("logits_last8"), LOGITS),
    close(`hidden_last ${how}`, hiddenLast, asked.data("hidden_last"), LOGITS),
  ];
}

async function greedy(engine: Engine, golden: Golden, asked: Arrays): Promise<Check[]> {
  const { vocab } = engine.config, { prompt_ids, greedy_ids, greedy_logit_steps: steps } = golden;
  const cache = cacheFor(engine, prompt_ids.length + greedy_ids.length);
  let { logits } = await forward(engine, cache, prompt_ids, { logitsRows: 1 });
  const ids: number[] = [], kept = new Float32Array(steps.length * vocab);
  for (let step = 0; step < greedy_ids.length; step++) {
    const row = steps.indexOf(step);
    if (row >= 0) kept.set(logits, row * vocab);
    ids.push(argmax(logits));
    // its own tokens, not the reference's: this is what a user gets
    ({ logits } = await forward(engine, cache, [ids[step]!], { logitsRows: 1 }));
  }
  return [
    equal("greedy_ids", ids, greedy_ids),
    close("greedy_logits", kept, asked.data("greedy_logits"), LOGITS),
  ];
}
