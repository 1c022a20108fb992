/**
 * Read once, ask many: prose of 7,900 tokens with sixteen facts in it is read at a quarter of its tokens, without its questions; the state is saved, opened again
 * and asked for every fact. Counted are questions that the full cache answers right. Every answer is compared with that of the memory that was never saved.
 *
 *   npm run states [-- --share 0.25 --policies kvzip-quote,indexer-quote --docs 2]
 */
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { outputFiles, peakRssBytes } from "../cli/host.ts";
import { respond } from "../core/respond.ts";
import { read } from "../core/read.ts";
import { bookmark } from "../core/state/bookmark.ts";
import { openState } from "../core/state/file.ts";
import { type KeptMemory, openKeptMemory, restoreMemory, saveMemory } from "../core/state/memory.ts";
import type { EngineModel } from "../mod.ts";
import { openForBench } from "./open.ts";
import { type Fact, FACTS } from "./facts.ts";
import { mobyDick, random, wilson } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    share: { type: "string", default: "0.25" },
    policies: { type: "string", default: "kvzip-quote" },
    tokens: { type: "string", default: "7900" },
    docs: { type: "string", default: "2" },
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
async function ask(
  memory: KeptMemory,
  { question: instruction, opening }: Fact,
): Promise<{ text: string; firstMs: number }> {
  const forget = bookmark(memory.reader), started = performance.now();
  let firstMs = 0, text = "";
  for await (const event of respond(memory, { command: "ask", instruction, opening, maxTokens: 24, peakRssBytes })) {
    if (event.type === "progress") firstMs ||= performance.now() - started;
    if (event.type === "result") text = event.record.answer;
  }
  forget();
  return { text, firstMs };
}

const fullModel = await openForBench(flags.model, "full", Number(flags.threads));
const prose = fullModel.tokenizer.encode(mobyDick(), { control: false }), tokens = Number(flags.tokens);
const asked: (Fact & { document: number })[] = [], texts: string[] = [];
for (let document = 0; document < Number(flags.docs); document++) {
  const text = documentOf(document);
  texts.push(text);
  using memory = await readTokens(fullModel, "full", tokens + 200, text);
  for (const one of FACTS) if ((await ask(memory, one)).text.includes(one.value)) asked.push({ ...one, document });
}
await fullModel.close();

/** A stretch of the book with every fact between two of its sentences. */
function documentOf(seed: number): string {
  const next = random(1 + seed), { tokenizer } = fullModel;
  const facts = FACTS.map(({ sentence }) => ({ sentence: ` ${sentence}`, depth: next() }));
  const length = tokens -
    facts.reduce((sum, { sentence }) => sum + tokenizer.encode(sentence, { control: false }).length, 0);
  const from = Math.floor(next() * (prose.length - length)), stream = tokenizer.textStream();
  const text = prose.slice(from, from + length).map((id) => stream.push(id)).join("") + stream.finish();
  const sentences = text.split(/(?<=[.!?])(?=\s)/);
  return sentences.map((sentence, i) =>
    sentence +
    facts.filter(({ depth }) => Math.floor(depth * sentences.length) === i).map((fact) => fact.sentence).join("")
  ).join("");
}

console.log(`${asked.length} questions that the full cache answers right`);
console.log(
  "| policy | slots | still right | 95 % interval | answers as unsaved | state | load | first words of the second question |",
);
console.log("| --- | --- | --- | --- | --- | --- | --- | --- |");
for (const policy of flags.policies.split(",")) {
  const model = await openForBench(flags.model, policy, Number(flags.threads));
  let right = 0, same = 0, compactions = Infinity, bytes = 0, loadMs = 0, secondMs = 0, slots = 0;
  for (const [document, text] of texts.entries()) {
    const path = join(folder, `${document}.pal`);
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
    for (const one of asked.filter((each) => each.document === document)) {
      const [saved, unsaved] = [await ask(restored, one), await ask(memory, one)];
      if (++nth === 2) secondMs = Math.max(secondMs, saved.firstMs);
      if (saved.text.includes(one.value)) right++;
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
