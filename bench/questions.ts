/**
 * Real questions about real documents: nothing is inserted. 24 questions, each about one sentence of a State of the Union address of 2012 to 2015, asked
 * of that address alone (about 9,000 tokens) or of all four (about 33,000). An answer is right when it contains the words that are asked for.
 *
 *   npm run questions -- --budget 1024 --policies question,question-quote [--all-four] [--show]
 */
import { appendFileSync, existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { peakRssBytes } from "../cli/host.ts";
import { spell } from "../core/engine/features.ts";
import { featuresFor } from "../core/policy.ts";
import { answer, type EngineModel, parsePolicy } from "../mod.ts";
import { openForBench } from "./open.ts";
import { stateOfTheUnion, wilson } from "./prose.ts";

const QUESTIONS: [year: number, question: string, right: string][] = [
  [2012, "Which state does Jackie Bray come from?", "North Carolina"],
  [2012, "Which company gave Bryan Ritterby a new job?", "Energetx"],
  [2012, "In which city is Master Lock's plant?", "Milwaukee"],
  [2012, "By how much can a good teacher increase the lifetime income of a classroom?", "250,000"],
  [2012, "How much could each responsible homeowner save a year on the mortgage?", "3,000"],
  [2012, "For how many years can the supply of natural gas last America?", "100"],
  [2013, "How old is Desiline Victor?", "102"],
  [2013, "In which city is the first manufacturing innovation institute?", "Youngstown"],
  [2013, "What is the name of the New York City nurse whose example we should follow?", "Menchu"],
  [2013, "How old was Hadiya Pendleton?", "15"],
  [2013, "How much did every dollar invested to map the human genome return to the economy?", "140"],
  [2013, "Which police officer's example should we follow?", "Murphy"],
  [2014, "Where does Andra Rush have her manufacturing firm?", "Detroit"],
  [2014, "Where is Punch Pizza?", "Minneapolis"],
  [2014, "To which city did Estiven Rodriguez move at age 9?", "New York"],
  [2014, "Which Army Ranger was on Omaha Beach on the anniversary of D-day?", "Remsburg"],
  [2014, "What is the name of Nick Chute's boss?", "Soranno"],
  [2014, "How much do businesses plan to invest in new factories that use natural gas?", "100 billion"],
  [2015, "Which astronaut will stay in space for a year?", "Kelly"],
  [2015, "In which city do Rebekah and Ben Erler live?", "Minneapolis"],
  [2015, "What kind of work does Ben do now?", "construction"],
  [2015, "How much should the typical family save at the pump this year?", "750"],
  [2015, "What is the new tax cut per child, per year?", "3,000"],
  [2015, "How many of the 15 warmest years on record fell in the first 15 years of this century?", "14"],
];

const { values: flags } = parseArgs({
  options: {
    budget: { type: "string", default: "1024" },
    policies: { type: "string", default: "question,question-quote" },
    "all-four": { type: "boolean", default: false },
    threads: { type: "string", default: "2" },
    model: { type: "string" },
    show: { type: "boolean", default: false },
  },
});

interface Result {
  question: string;
  policy: string;
  correct: boolean;
  answer: string;
}

async function ask(model: EngineModel, text: string, question: string, policy: string): Promise<string> {
  const bytes = new TextEncoder().encode(text);
  const events = answer(model, {
    command: "ask",
    sources: [{
      name: "address.txt",
      size: bytes.length,
      chunks: (async function* () {
        yield bytes;
      })(),
    }],
    instruction: question,
    policy,
    budget: { slots: policy === "full" ? bytes.length : Number(flags.budget) },
    chunkTokens: 512,
    positions: policy === "full" ? "original" : "auto",
    maxTokens: 64,
    strict: false,
    availableBytes: 16e9,
    peakRssBytes,
  });
  for await (const event of events) if (event.type === "result") return event.record.answer;
  throw new Error("No result");
}

const folder = join(import.meta.dirname, "results");
mkdirSync(folder, { recursive: true });
const file = join(folder, `questions-${flags["all-four"] ? "four" : "one"}-${flags.budget}.jsonl`);
const results: Result[] = existsSync(file)
  ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line) as Result)
  : [];
const models = new Map<string, EngineModel>();
const four = [2012, 2013, 2014, 2015].map(stateOfTheUnion).join("\n\n");

console.log(
  "| document | policy | budget | questions | right | 95 % interval |\n| --- | --- | --- | --- | --- | --- |",
);
for (const policy of flags.policies.split(",")) {
  const key = spell(featuresFor(parsePolicy(policy)));
  let model = models.get(key);
  if (!model) models.set(key, model = await openForBench(flags.model, policy, Number(flags.threads)));
  for (const [year, question, right] of QUESTIONS) {
    if (results.some((result) => result.question === question && result.policy === policy)) continue;
    const text = await ask(model, flags["all-four"] ? four : stateOfTheUnion(year), question, policy);
    const result = { question, policy, correct: text.includes(right), answer: text };
    results.push(result);
    appendFileSync(file, JSON.stringify(result) + "\n");
    if (flags.show) console.error(JSON.stringify(result));
  }
  const mine = results.filter((result) => result.policy === policy),
    right = mine.filter(({ correct }) => correct).length;
  const { share, low, high } = wilson(right, mine.length);
  console.log(
    `| ${flags["all-four"] ? "four addresses" : "one address"} | ${policy} | ${
      policy === "full" ? "all" : flags.budget
    } | ` +
      `${mine.length} | ${right} (${share.toFixed(0)} %) | ${low.toFixed(0)}–${high.toFixed(0)} % |`,
  );
}
for (const model of models.values()) await model.close();
