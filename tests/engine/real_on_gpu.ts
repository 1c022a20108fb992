/**
 * A real model on the GPU that the runtime finds against the CPU engine, greedy, by hand: a software GPU needs minutes for it.
 * `bun tests/engine/real_on_gpu.ts MODEL.gguf [blocks|f32] [TOKENS] [WRITTEN] [CHUNK]`, with the driver chosen by the environment.
 */
import process from "node:process";
import type { WeightFormat } from "../../core/engine/prepare.ts";
import { argmax } from "../../core/decode/write.ts";
import { cacheFor, forward } from "../golden/forward.ts";
import { readJson } from "../golden/open.ts";
import { difference } from "../tiny_llama.ts";
import { fixture } from "../host.ts";
import { openTestGpu } from "./gpu_device.ts";
import { forwardGpu, gpuCache, usingGpu } from "./gpu_open.ts";

const [path, weights = "blocks", count = "200", written = "16", chunk = count] = process.argv.slice(2);
if (!path) throw new Error("Say which model: the path of a GGUF file");
const real = await readJson(fixture("golden/real/smollm2_135m_q4_1.json"));
const ids: number[] = real.text_ids.slice(0, Number(count));
const gpu = await openTestGpu();
console.log(`${gpu.adapter.name}, ${weights}, ${ids.length} tokens`);

await usingGpu(gpu.device, path, { weights: weights as WeightFormat }, async ({ engine, cpu }) => {
  const capacity = ids.length + Number(written), on = gpuCache(engine, capacity), plain = cacheFor(cpu, capacity);
  let started = performance.now();
  const took = () => {
    const seconds = (performance.now() - started) / 1000;
    started = performance.now();
    return `${seconds.toFixed(1)} s`;
  };
  let got = await forwardGpu(engine, on, ids, { sizes: [Number(chunk)] });
  console.log(`prompt on the GPU: ${took()}`);
  let { logits } = await forward(cpu, plain, ids, { logitsRows: 1 });
  console.log(`prompt on the CPU: ${took()}; largest difference of its logits ${difference(got, logits).toFixed(4)}`);
  let equal = 0;
  for (let i = 0; i < Number(written); i++) {
    const token = argmax(got), [first, second] = [...logits].sort((a, b) => b - a);
    if (token === argmax(logits)) equal++;
    console.log(`token ${i}: GPU ${token}, CPU ${argmax(logits)}, margin ${(first! - second!).toFixed(3)}, ${took()}`);
    // the GPU's token to both: what follows is compared on the same text
    const firstPosition = ids.length + i;
    got = await forwardGpu(engine, on, [token], { firstPosition });
    ({ logits } = await forward(cpu, plain, [token], { logitsRows: 1, firstPosition }));
  }
  console.log(`${equal} of ${written} tokens equal`);
});
process.exit(0);
