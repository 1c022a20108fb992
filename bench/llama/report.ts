/** From measured runs to a Markdown table. */
import type { Result } from "./child.ts";
import { DISTURBED } from "./quiet.ts";

/** One measured run. */
export interface Run {
  engine: "palimpsest" | "llama.cpp";
  /** llama.cpp's settings; "" for ours. */
  config: string;
  documentTokens: number;
  round: number;
  /** Share of the machine that others used meanwhile; null where it cannot be told. */
  foreign: number | null;
  result: Result;
}

/** What was measured, on what. The JSON that is saved. */
export interface Report {
  schema: "palimpsest.bench/1";
  date: string;
  machine: string;
  software: string;
  model: string;
  settings: {
    threads: number;
    budget: number;
    chunk: number;
    answerTokens: number;
    decodeTokens: number;
    question: string;
    policy: string;
  };
  runs: Run[];
  /** Configurations that failed, and why. */
  failures: string[];
}

interface Metric {
  name: string;
  /** Whether more is better. */
  more: boolean;
  of(result: Result): number;
  show(value: number): string;
}

const whole = (value: number) => Math.round(value).toLocaleString("en");
const prefill: Metric = {
  name: "prefill, tok/s",
  more: true,
  of: (one) => one.prefillTokens / one.prefillMs * 1000,
  show: whole,
};
const first: Metric = {
  name: "time to the first token, s",
  more: false,
  of: (one) => one.prefillMs / 1000,
  show: (value) => value.toFixed(value < 100 ? 2 : 0),
};
const decode: Metric = {
  name: "decode, tok/s",
  more: true,
  of: (one) => one.decodeSteps / one.decodeMs * 1000,
  show: (value) => value.toFixed(1),
};
const time: Metric = {
  name: "time to answer, s",
  more: false,
  of: (one) => one.answerMs / 1000,
  show: (value) => value.toFixed(value < 100 ? 2 : 0),
};
const load: Metric = {
  name: "load, s",
  more: false,
  of: (one) => one.readyMs / 1000,
  show: (value) => value.toFixed(2),
};
const memory: Metric = { name: "peak memory, MiB", more: false, of: (one) => one.peakRssBytes / 2 ** 20, show: whole };
const metrics = [prefill, first, decode, time, memory, load];

/** Issue 3, rows 5, 6 and 7: document tokens, metric, smallest ratio. */
const bars: [number, Metric, number][] = [[4096, prefill, 3], [32768, time, 8], [4096, decode, 1.6]];
/** Row 8. */
const LARGEST_SHARE = 0.12;
/** Row 9: peak memory of the whole book over that of 8,192 tokens. */
export const MEMORY_BASE = 8192;

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b), middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** The whole report as Markdown. */
export function markdown(report: Report): string {
  const { settings, runs } = report;
  const disturbed = runs.filter((run) => run.foreign !== null && run.foreign > DISTURBED);
  return [
    "# Palimpsest against llama.cpp",
    "",
    `${report.date}. ${report.machine}. ${report.software}. Model ${report.model}, threads: ${settings.threads} each.`,
    `Ours: policy ${settings.policy}, budget ${
      whole(settings.budget)
    } slots, chunk ${settings.chunk}, ${settings.question}.`,
    "",
    ...comparison(runs),
    "",
    ...legend(settings.answerTokens, settings.decodeTokens),
    ...(disturbed.length === 0 ? [] : [
      "",
      `**Not to be quoted**: others used more than ${
        DISTURBED * 100
      } % of the machine during ${disturbed.length} of ${runs.length} runs, at worst ` +
      `${percent(Math.max(...disturbed.map((run) => run.foreign!)))}.`,
    ]),
    ...report.failures.map((failure) => `\nFailed: ${failure}`),
    "",
    "## Every configuration",
    "",
    ...details(runs),
    "",
  ].join("\n");
}

function legend(answer: number, decoded: number): string[] {
  return [
    "Medians (smallest to largest); of llama.cpp the best configuration for each line. Every run is a process of its",
    "own.",
    "",
    "* Time to the first token: from the document on. Ours gets its text and tokenises it meanwhile, llama.cpp gets the",
    "  same prompt as token ids.",
    "* Prefill: tokens forwarded by then; ours forwards the passages that it quotes a second time.",
    `* Time to answer: time to the first token and the rest of an answer of ${answer} tokens.`,
    `* Decode: the ${
      decoded - 1
    } tokens after the first. Both programs choose each token and are then made to write the`,
    "  book's own next tokens, so that both forward the same ones and none stops early.",
    "* Load: from the start of the process to the open model; no part of the times above.",
    "* Peak memory: largest resident set of the process, the mapped model included.",
  ];
}

/** The table of ratios: one line per metric and document size. */
function comparison(runs: Run[]): string[] {
  const lines = [
    row("tokens", "what", "Palimpsest", "llama.cpp", "ratio", "wanted"),
    "| ---: | --- | ---: | ---: | ---: | ---: |",
  ];
  for (const tokens of sizes(runs)) {
    const ours = group(runs, tokens, "palimpsest", "");
    for (const metric of metrics) {
      const peer = bestConfig(runs, tokens, metric);
      const values = peer === null ? [] : group(runs, tokens, "llama.cpp", peer);
      const wanted = bars.find(([size, one]) => size === tokens && one === metric)?.[2];
      lines.push(row(
        whole(tokens),
        metric.name,
        spread(ours, metric),
        values.length > 0 ? `${spread(values, metric)}, ${peer}` : "",
        ours.length > 0 && values.length > 0 ? `${ratio(ours, values, metric).toFixed(2)} ×` : "",
        wanted && values.length > 0 ? `≥ ${wanted} ×` : "",
      ));
    }
    if (ours.length > 0) {
      const share = median(ours.map((run) => run.result.policyShare!));
      lines.push(
        row(
          whole(tokens),
          "policy's share of prefill",
          percent(share),
          "",
          "",
          tokens === 4096 ? `≤ ${LARGEST_SHARE * 100} %` : "",
        ),
      );
    }
  }
  return [...lines, ...memoryGrowth(runs)];
}

/** Ours alone: what a longer document adds to the peak memory. */
function memoryGrowth(runs: Run[]): string[] {
  const base = group(runs, MEMORY_BASE, "palimpsest", ""), longest = sizes(runs).at(-1) ?? 0;
  const long = group(runs, longest, "palimpsest", "");
  if (longest <= MEMORY_BASE || base.length === 0 || long.length === 0) return [];
  const [small, large] = [value(base, memory), value(long, memory)];
  const what = `peak memory over that of ${whole(MEMORY_BASE)} tokens`;
  return [
    row(
      whole(longest),
      what,
      `${large - small < 0 ? "" : "+"}${whole(large - small)} MiB`,
      "",
      "",
      `≤ +${whole(small * 0.05 + 32e6 / 2 ** 20)} MiB`,
    ),
  ];
}

function details(runs: Run[]): string[] {
  const lines = [
    row("tokens", "engine", "runs", ...metrics.map((metric) => metric.name)),
    "| ---: | --- | ---: |" + " ---: |".repeat(metrics.length),
  ];
  for (const tokens of sizes(runs)) {
    for (const name of new Set(runs.map((run) => `${run.engine}\n${run.config}`))) {
      const [engine, config] = name.split("\n") as [Run["engine"], string];
      const found = group(runs, tokens, engine, config);
      if (found.length === 0) continue;
      lines.push(
        row(
          whole(tokens),
          `${engine} ${config}`.trim(),
          `${found.length}`,
          ...metrics.map((metric) => spread(found, metric)),
        ),
      );
    }
  }
  return lines;
}

/** llama.cpp's configuration with the best median, or null when it was not measured. */
function bestConfig(runs: Run[], tokens: number, metric: Metric): string | null {
  return rank(runs, tokens, metric)[0] ?? null;
}

/** llama.cpp's configurations, the quickest to an answer first. */
export function rankedConfigs(runs: Run[], tokens: number): string[] {
  return rank(runs, tokens, time);
}

function rank(runs: Run[], tokens: number, metric: Metric): string[] {
  const of = (config: string) => value(group(runs, tokens, "llama.cpp", config), metric) * (metric.more ? -1 : 1);
  const configs = new Set(
    runs.filter((run) => run.engine === "llama.cpp" && run.documentTokens === tokens).map((run) => run.config),
  );
  return [...configs].sort((a, b) => of(a) - of(b));
}

function sizes(runs: Run[]): number[] {
  return [...new Set(runs.map((run) => run.documentTokens))].sort((a, b) => a - b);
}

function group(runs: Run[], tokens: number, engine: Run["engine"], config: string): Run[] {
  return runs.filter((run) => run.documentTokens === tokens && run.engine === engine && run.config === config);
}

function value(runs: Run[], metric: Metric): number {
  return median(runs.map((run) => metric.of(run.result)));
}

/** How many times better ours is. */
function ratio(ours: Run[], theirs: Run[], metric: Metric): number {
  const quotient = value(ours, metric) / value(theirs, metric);
  return metric.more ? quotient : 1 / quotient;
}

function spread(runs: Run[], metric: Metric): string {
  if (runs.length === 0) return "";
  const values = runs.map((run) => metric.of(run.result)), middle = metric.show(median(values));
  return values.length === 1
    ? middle
    : `${middle} (${metric.show(Math.min(...values))} to ${metric.show(Math.max(...values))})`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function row(...cells: string[]): string {
  return `| ${cells.join(" | ")} |`;
}

/** One line for the eye while the benchmark goes on. */
export function oneLine(run: Run): string {
  const figures = metrics.map((metric) => `${metric.name} ${metric.show(metric.of(run.result))}`).join("; ");
  const foreign = run.foreign !== null && run.foreign > DISTURBED
    ? `; DISTURBED: others used ${percent(run.foreign)}`
    : "";
  return `${figures}${run.result.policyShare === null ? "" : `; policy ${percent(run.result.policyShare)}`}${foreign}`;
}
