/**
 * Does a summary speak of the whole document? Eight clearly different stretches of real prose are joined into one text; a section counts as named when
 * the summary holds one of its words, which are written down here. The bar is relative to the model: a section that it does not name when the same
 * command summarises that section alone is left out.
 *
 *   npm run sections -- --budget 1024 --length 300
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { AnswerRecord } from "../mod.ts";
import { chapter, stateOfTheUnion } from "./prose.ts";

const { values: flags } = parseArgs({
  options: {
    budget: { type: "string", default: "1024" },
    length: { type: "string", default: "300" },
    policy: { type: "string" },
    model: { type: "string" },
    characters: { type: "string", default: "9300" },
    show: { type: "boolean", default: true },
  },
});

interface Section {
  title: string;
  text: string;
  /** Any of these names the section and no other. */
  words: RegExp;
}

const sections: Section[] = [
  { title: "Moby Dick, The Sermon", text: chapter(9), words: /jonah|mapple|sermon|nineveh|tarshish/i },
  {
    title: "Address of 1862 (civil war, treaties)",
    text: stateOfTheUnion(1862),
    words:
      /treat(y|ies)|convention|negotiat|neutral|costa rica|turkey|coloni[sz]|liberia|slave|emancipat|rebel|insurrection|civil war|1862/i,
  },
  {
    title: "Moby Dick, Cetology",
    text: chapter(32),
    words: /cetolog|classif|folio|leviathan|octavo|spout(?!er)|species/i,
  },
  {
    title: "Address of 1942 (world war)",
    text: stateOfTheUnion(1942),
    words: /japan|german|nazi|axis|hitler|world war|pearl harbor|philippine|1942/i,
  },
  {
    title: "Moby Dick, The Spouter-Inn",
    text: chapter(3),
    words: /spouter|\binn\b|gable|landlord|painting|picture|harpooneer/i,
  },
  {
    title: "Address of 1965 (Great Society)",
    text: stateOfTheUnion(1965),
    words: /soviet|europe|great society|alliance|peace|communis|1965|african|latin america|johnson|texas/i,
  },
  { title: "Moby Dick, The Town-Ho's Story", text: chapter(54), words: /town-ho|steelkilt|radney|lakeman|\bleak/i },
  {
    title: "Address of 2002 (terror)",
    text: stateOfTheUnion(2002),
    words: /terror|9\/11|september|afghan|bush|taliban/i,
  },
].map((section) => ({ ...section, text: cut(section.text, Number(flags.characters)) }));

/** Whole sentences of at most so many characters. */
function cut(text: string, characters: number): string {
  const part = text.slice(0, characters);
  return part.slice(0, part.lastIndexOf(".") + 1);
}

const folder = mkdtempSync(join(tmpdir(), "palimpsest-sections-"));

/** The command as a user types it. */
function summarize(name: string, text: string): AnswerRecord {
  const path = join(folder, `${name}.txt`);
  writeFileSync(path, text);
  const model = flags.model ?? process.env["PALIMPSEST_TEST_MODEL"];
  const args = ["summarize", path, "--json", "--kv-budget", flags.budget, "--length", flags.length];
  if (flags.policy) args.push("--policy", flags.policy);
  if (model) args.push("--model", model);
  const run = spawnSync(join(import.meta.dirname, "..", "cli", "palimpsest"), args, { encoding: "utf8" });
  if (run.status !== 0) throw new Error(`palimpsest ${args.join(" ")} gave ${run.status}: ${run.stderr}`);
  return JSON.parse(run.stdout) as AnswerRecord;
}

try {
  const whole = summarize("whole", sections.map(({ text }) => text).join("\n\n"));
  if (flags.show) console.log(`${whole.answer}\n`);
  console.log("| section | named alone | named in the whole summary |\n| --- | --- | --- |");
  let alone = 0, both = 0;
  sections.forEach(({ title, text, words }, i) => {
    const own = summarize(`section-${i}`, text).answer.match(words)?.[0], all = whole.answer.match(words)?.[0];
    if (own) alone++;
    if (own && all) both++;
    console.log(`| ${title} | ${own ?? "no"} | ${all ?? "no"} |`);
  });
  const { coverage, budgetSlots } = whole.kv;
  console.log(
    `\n${whole.document.tokens} tokens, budget ${budgetSlots}: named ${both} of ${alone} (${
      Math.round(100 * both / alone)
    } %)`,
  );
  console.log(
    `kept slots per tenth of the document: ${coverage.map((share) => `${(100 * share).toFixed(1)} %`).join(" ")}`,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
