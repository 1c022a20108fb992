/**
 * Read once, ask many: addresses to the Congress of at most 8,000 tokens are read at a quarter of their tokens, without their questions; the state is saved,
 * opened again and asked. Counted are questions that the full cache answers right. Every answer is compared with that of the memory that was never saved.
 *
 *   npm run states [-- --share 0.25 --policies kvzip-quote,indexer-quote --tokens 7600]
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { outputFiles, peakRssBytes } from "../cli/host.ts";
import { respond } from "../core/answer.ts";
import { read } from "../core/read.ts";
import { openState } from "../core/state/file.ts";
import { type KeptMemory, openKeptMemory, restoreMemory, saveMemory } from "../core/state/memory.ts";
import type { EngineModel } from "../mod.ts";
import { openForBench } from "./open.ts";
import { stateOfTheUnion, wilson } from "./prose.ts";
import { QUESTIONS } from "./questions/address_questions.ts";

const { values: flags } = parseArgs({
  options: {
    share: { type: "string", default: "0.25" },
    policies: { type: "string", default: "kvzip-quote" },
    tokens: { type: "string", default: "7600" },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
  },
});
const folder = await mkdtemp(join(tmpdir(), "palimpsest-states-"));

async function readTokens(model: EngineModel, policy: string, slots: number, text: string): Promise<KeptMemory> {
  const memory = await openKeptMemory(model, {
    policy,
    budget: { slots },
    positions: policy === "full" ? "original" : "auto",
    availableBytes: 16e9,
    maxTokens: 64,
  });
  const bytes = new TextEncoder().encode(text);
  const chunks = (async function* () {
    yield bytes;
  })();
  for await (const _ of read(memory, [{ name: "address.txt", chunks }])) { /* it reads */ }
  return memory;
}

/** @returns the answer, and the time until its first words */
async function ask(memory: KeptMemory, instruction: string): Promise<{ text: string; firstMs: number }> {
  const forget = memory.reader.bookmark(), started = performance.now();
  let firstMs = 0, text = "";
  for await (const event of respond(memory, { command: "ask", instruction, maxTokens: 64, peakRssBytes })) {
    if (event.type === "text") firstMs ||= performance.now() - started;
    if (event.type === "result") text = event.record.answer;
  }
  forget();
  return { text, firstMs };
}

const fullModel = await openForBench(flags.model, "full", Number(flags.threads));
const asked: { year: number; question: string; right: string; text: string; tokens: number }[] = [];
const whole = new Map<number, { text: string; tokens: number }>();
for (const year of [2012, 2013, 2014, 2015]) {
  let text = stateOfTheUnion(year);
  const ids = fullModel.tokenizer.encode(text, { control: false });
  if (ids.length > Number(flags.tokens)) {
    text = text.slice(0, Math.floor(text.length * Number(flags.tokens) / ids.length));
  }
  const tokens = Math.min(ids.length, Number(flags.tokens));
  whole.set(year, { text, tokens });
  using memory = await readTokens(fullModel, "full", tokens + 200, text);
  for (const [of, question, right] of QUESTIONS) {
    if (of !== year || !text.includes(right)) continue;
    if ((await ask(memory, question)).text.includes(right)) asked.push({ year, question, right, text, tokens });
  }
}
await fullModel.close();
console.log(`${asked.length} questions that the full cache answers right`);
console.log(
  "| policy | slots | still right | 95 % interval | answers as unsaved | state | load | first words of the second question |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const policy of flags.policies.split(",")) {
  const model = await openForBench(flags.model, policy, Number(flags.threads));
  let right = 0, same = 0, compactions = Infinity, bytes = 0, loadMs = 0, secondMs = 0, slots = 0;
  for (const [year, { text, tokens }] of whole) {
    const path = join(folder, `${year}.pal`);
    slots = Math.round(Number(flags.share) * tokens);
    using memory = await readTokens(model, policy, slots, text);
    await saveMemory(outputFiles, path, memory);
    compactions = Math.min(compactions, memory.reader.compactions);
    bytes = Math.max(bytes, (await stat(path)).size);
    const started = performance.now(), state = await openState(outputFiles, path);
    using restored = await restoreMemory(model, state, { availableBytes: 16e9 });
    await state.close();
    loadMs = Math.max(loadMs, performance.now() - started);
    let nth = 0;
    for (const one of asked.filter((each) => each.year === year)) {
      const [saved, unsaved] = [await ask(restored, one.question), await ask(memory, one.question)];
      if (++nth === 2) secondMs = Math.max(secondMs, saved.firstMs);
      if (saved.text.includes(one.right)) right++;
      if (saved.text === unsaved.text) same++;
    }
  }
  const { share, low, high } = wilson(right, asked.length);
  console.log(
    `| ${policy} | ${slots} (at least ${compactions} compactions) | ${right} of ${asked.length} (${
      share.toFixed(0)
    } %) | ${low.toFixed(0)}–${high.toFixed(0)} % | ` +
      `${same} of ${asked.length} | ${(bytes / 2 ** 20).toFixed(0)} MiB | ${(loadMs / 1000).toFixed(2)} s | ${
        (secondMs / 1000).toFixed(2)
      } s |`,
  );
  await model.close();
}
await rm(folder, { recursive: true });
