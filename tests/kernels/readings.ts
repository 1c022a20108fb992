/**
 * Whole policies on the GPU against the CPU's: the same chunks through both, and after every compaction the same slots stay. Prints what it compared as
 * JSON; a process of its own, under Bun and Deno (`readings_test.ts` starts it, with the names of policies wanted or none for all).
 */
import process from "node:process";
import { argmax } from "../../core/decode/write.ts";
import { dequantise } from "../../core/engine/dequantise.ts";
import { resolveBudget } from "../../core/budget.ts";
import { parsePolicy, policies as named } from "../../core/policies.ts";
import { featuresFor, leastBudget, type Policy } from "../../core/policy.ts";
import { Reader, type ReaderOptions } from "../../core/reader.ts";
import { GpuReading } from "../../kernels/reading/gpu_reading.ts";
import { isWide } from "../../kernels/reading/plan.ts";
import { unsupportedOnGpu } from "../../kernels/reading/supported.ts";
import { ValueNorms } from "../../kernels/reading/value_norms.ts";
import { openTestGpu } from "../engine/gpu_device.ts";
import { usingGpu } from "../engine/gpu_open.ts";
import { difference, fakeTokenizer, TINY, tokens } from "../tiny_llama.ts";

const QUESTION = tokens(12, 9), CHUNK = 64, CHUNKS = 6, WRITTEN = 6, RESERVE = QUESTION.length + WRITTEN;
const document = tokens(CHUNK * CHUNKS - 7, 3);

interface Compared {
  /** Slots that both keep, of all that the CPU keeps, after every chunk. */
  same: number[];
  kept: number;
  tokens: boolean;
  logits: number;
  compactions: number;
  readBack: number;
}

async function compare(
  gpu: Awaited<ReturnType<typeof openTestGpu>>,
  policy: Policy,
  positions: "original" | "compact",
) {
  const features = { ...featuresFor(policy), hidden: false };
  // the CPU's engine of `usingGpu` is plain: one of its own
  const { openTiny } = await import("../tiny_llama.ts"), cpu = await openTiny({ features });
  try {
    return await usingGpu(
      gpu.device,
      TINY,
      { features: { ...features, logBias: isWide(policy) } },
      async ({ engine, model }) => {
        const slots = Math.max(96, leastBudget(policy) + 20);
        const budget = resolveBudget({
          config: engine.config,
          policy,
          request: { slots },
          chunkTokens: CHUNK,
          reserve: RESERVE,
          unboundedPositions: true,
          availableBytes: 4e9,
        });
        const options: ReaderOptions = {
          budget,
          chunkTokens: CHUNK,
          reserve: RESERVE,
          positions,
          questionTokens: QUESTION,
          answerTokens: tokens(5, 4),
          tokenizer: fakeTokenizer,
        };
        const norms = features.valueNorms
          ? await ValueNorms.open(
            gpu,
            engine,
            async (layer) => {
              const { type, bytes } = await model.tensor(`layers.${layer}.self_attn.o_proj`);
              return Float32Array.from(dequantise(type, bytes));
            },
          )
          : null;
        const plain = new Reader(cpu.engine, policy, options);
        using reading = new GpuReading(gpu, engine, policy, options, norms);
        const found: Compared = { same: [], kept: 0, tokens: true, logits: 0, compactions: 0, readBack: 0 };
        for (let from = 0; from < document.length; from += CHUNK) {
          const chunk = document.slice(from, from + CHUNK);
          await plain.read(chunk);
          await reading.read(chunk);
          if (plain.compactions === 0) continue;
          found.readBack = Math.max(found.readBack, reading.bytesBack);
          const on = await reading.liveTokens();
          let same = 0, all = 0;
          on.forEach((mine, head) => {
            const theirs = plain.cache.sources(head), set = new Map<number, number>();
            for (const token of theirs) set.set(token, (set.get(token) ?? 0) + 1);
            for (const token of mine) {
              const left = set.get(token) ?? 0;
              if (left > 0) same++;
              set.set(token, left - 1);
            }
            all += Math.max(theirs.length, mine.length);
          });
          found.same.push(same / all);
          found.kept = all;
        }
        found.compactions = reading.compactions;
        if (plain.compactions !== reading.compactions) found.tokens = false;
        let a = await plain.write(QUESTION), b = await reading.write(QUESTION);
        for (let i = 0; i < WRITTEN; i++) {
          found.logits = Math.max(found.logits, difference(a, b));
          if (argmax(a) !== argmax(b)) found.tokens = false;
          const token = argmax(a);
          a = await plain.next(token);
          b = await reading.next(token);
        }
        norms?.close();
        return found;
      },
    );
  } finally {
    await cpu.close();
  }
}

const gpu = await openTestGpu();
console.log(JSON.stringify({ adapter: gpu.adapter.name }));
const wanted = process.argv.slice(2);
for (const name of wanted.length > 0 ? wanted : Object.keys(named)) {
  const policy = parsePolicy(name), missing = unsupportedOnGpu(policy);
  if (missing) {
    console.log(JSON.stringify({ policy: name, unsupported: missing }));
    continue;
  }
  for (const positions of ["original", "compact"] as const) {
    const started = performance.now();
    const found = await compare(gpu, policy, positions).catch((error) => ({ error: String(error?.stack ?? error) }));
    console.log(JSON.stringify({ policy: name, positions, ms: Math.round(performance.now() - started), ...found }));
  }
}
process.exit(0);
