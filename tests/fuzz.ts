/**
 * `npm run fuzz`: damaged model files, tokenizers, templates, packs, archives and documents, each opened as the tool opens it. All must be used or refused with a
 * sentence; anything else is a finding, told with what repeats it. The same seed gives the same inputs.
 *
 *   npm run fuzz -- --inputs 100000 --seed 1
 *   npm run fuzz -- --kind template --seed 1 --only 4711
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { kinds } from "./fuzz/kinds.ts";
import { runInputs } from "./fuzz/run.ts";

const { values: flags } = parseArgs({
  options: {
    inputs: { type: "string", default: "20000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    kind: { type: "string" },
  },
});
const chosen = kinds.filter(({ name }) => flags.kind === undefined || flags.kind.split(",").includes(name));
const seed = Number(flags.seed),
  inputs = Number(flags.inputs),
  only = flags.only === undefined ? null : Number(flags.only);
if (
  chosen.length === 0 || ![seed, inputs, only ?? 0].every(Number.isSafeInteger) || only !== null && chosen.length > 1
) {
  console.error(
    `--inputs, --seed and --only (with one --kind) take whole numbers, --kind ${kinds.map(({ name }) => name)}`,
  );
  process.exit(2);
}

const shares = chosen.reduce((sum, { share }) => sum + share, 0);
let all = 0, findings = 0;
const started = performance.now();
for (const { name, share } of chosen) {
  const first = only ?? 0, end = only === null ? Math.max(1, Math.round(inputs * share / shares)) : only + 1;
  const counts = { used: 0, refused: 0, finding: 0 }, since = performance.now();
  let slowest = 0;
  await runInputs(name, seed, first, end, ({ input, outcome, finding, milliseconds }) => {
    counts[outcome]++;
    slowest = Math.max(slowest, milliseconds);
    if (finding !== undefined) {
      console.log(`\nFINDING, npm run fuzz -- --kind ${name} --seed ${seed} --only ${input}\n${finding}\n`);
    }
  });
  all += end - first;
  findings += counts.finding;
  const seconds = (performance.now() - since) / 1000;
  console.log(
    `${name.padEnd(12)} ${String(end - first).padStart(6)} inputs: ${counts.used} used, ${counts.refused} refused, ` +
      `${counts.finding} findings; ${seconds.toFixed(1)} s, the slowest ${Math.round(slowest)} ms`,
  );
}
console.log(
  `${all} inputs of seed ${seed}: ${findings} findings, ${Math.round((performance.now() - started) / 1000)} s`,
);
process.exitCode = findings === 0 ? 0 : 1;
