/** Results → rows: one per task, length, protocol, policy and budget. */
import { FULL } from "./reading.ts";
import type { EvalResult, Protocol } from "./result.ts";
import { type Estimate, estimate, mean } from "./statistics.ts";

export interface EvalRow {
  task: string;
  length: number | null;
  protocol: Protocol | null;
  policy: string;
  budget: string | null;
  /** Mean over samples. */
  budgetSlots: number;
  score: Estimate;
  /** full − policy over the samples that both have; null for `full`. */
  loss: Estimate | null;
  /** Mean score of what the model says without the document, where it could know; of `full` only. */
  known: number | null;
  /** Null where a strategy answers from another text than the full cache. */
  kl: number | null;
  top1: number | null;
  hitRate: number | null;
  policyMsPerChunk: number;
  prefillMs: number;
  wholeMs: number;
  kvBytes: number;
  peakLiveSlots: number;
}

/** Rows in the order in which their first result came. */
export function aggregate(results: readonly EvalResult[]): EvalRow[] {
  const groups = new Map<string, EvalResult[]>(), full = new Map<string, number>();
  const sampleOf = (result: EvalResult) => JSON.stringify([result.task, result.length, result.index]);
  for (const result of results) {
    const { task, length, protocol, policy, budget } = result;
    const key = JSON.stringify([task, length, protocol, policy, budget]);
    groups.set(key, [...groups.get(key) ?? [], result]);
    if (policy === FULL) full.set(sampleOf(result), result.score);
  }
  return [...groups.values()].map((group) => {
    const { task, length, protocol, policy, budget } = group[0]!;
    const average = (value: (result: EvalResult) => number) => mean(group.map(value));
    const paired = policy === FULL ? [] : group.filter((result) => full.has(sampleOf(result)));
    const differences = paired.map((result) => full.get(sampleOf(result))! - result.score);
    return {
      task,
      length,
      protocol,
      policy,
      budget,
      budgetSlots: Math.round(average((result) => result.budgetSlots)),
      score: estimate(group.map((result) => result.score)),
      loss: differences.length > 0 ? { ...estimate(differences), interval: null } : null,
      known: known(group, (result) => result.known),
      kl: known(group, ({ kl }) => kl),
      top1: known(group, ({ top1 }) => top1),
      hitRate: known(group, ({ hitRate }) => hitRate),
      policyMsPerChunk: average(({ costs }) => costs.policyMs / Math.max(1, costs.chunks)),
      prefillMs: average(({ costs }) => costs.prefillMs),
      wholeMs: average(({ costs }) => costs.wholeMs),
      kvBytes: average(({ costs }) => costs.kvBytes),
      peakLiveSlots: average(({ costs }) => costs.peakLiveSlots),
    };
  });
}

/** Mean of what is known; null where nothing is. */
function known(group: readonly EvalResult[], value: (result: EvalResult) => number | null): number | null {
  const values = group.map(value).filter((one) => one !== null);
  return values.length > 0 ? mean(values) : null;
}

const percent = (value: number) => `${(100 * value).toFixed(0)} %`;
const points = (value: number) => (100 * value).toFixed(0).replace("-0", "0");

/** "67 % [30–90]", or "41 % ± 6" with a standard error. */
export function spellScore({ mean, interval, error }: Estimate): string {
  if (interval) return `${percent(mean)} [${points(interval.low)}–${points(interval.high)}]`;
  return error === null ? percent(mean) : `${percent(mean)} ± ${points(error)}`;
}

/** "+33 ± 21" in points of a hundred. */
export function spellLoss(loss: Estimate | null): string {
  if (!loss) return "–";
  const text = points(loss.mean);
  return `${loss.mean > 0 && text !== "0" ? "+" : ""}${text}${loss.error === null ? "" : ` ± ${points(loss.error)}`}`;
}

/** Column titles and what a row says in each; the report's table has the same. */
export const columns: readonly { title: string; cell: (row: EvalRow) => string; left?: boolean }[] = [
  { title: "task", cell: (row) => row.task, left: true },
  { title: "tokens", cell: (row) => row.length === null ? "file" : String(row.length) },
  { title: "protocol", cell: (row) => row.protocol ?? "–", left: true },
  { title: "policy", cell: (row) => row.policy, left: true },
  { title: "budget", cell: (row) => row.budget === null ? "all" : spellBudget(row) },
  { title: "n", cell: (row) => String(row.score.count) },
  { title: "score", cell: (row) => spellScore(row.score) },
  { title: "loss", cell: (row) => spellLoss(row.loss) },
  { title: "KL", cell: (row) => compared(row, row.kl, (kl) => kl.toFixed(3)) },
  { title: "top-1", cell: (row) => compared(row, row.top1, percent) },
  { title: "hit rate", cell: (row) => compared(row, row.hitRate, percent) },
  { title: "ms/chunk", cell: (row) => row.policy === FULL ? "–" : row.policyMsPerChunk.toFixed(0) },
  { title: "read, s", cell: (row) => (row.prefillMs / 1000).toFixed(1) },
  { title: "all, s", cell: (row) => (row.wholeMs / 1000).toFixed(1) },
  { title: "KV, MiB", cell: (row) => (row.kvBytes / 2 ** 20).toFixed(1) },
];

const compared = (row: EvalRow, value: number | null, spell: (value: number) => string): string =>
  row.policy === FULL || value === null ? "–" : spell(value);

const spellBudget = (row: EvalRow): string =>
  row.budget!.endsWith("%") ? `${row.budget} (${row.budgetSlots})` : String(row.budgetSlots);

/** A Markdown table and what its words mean. */
export function markdown(rows: readonly EvalRow[]): string {
  const line = (cells: string[]) => `| ${cells.join(" | ")} |`;
  const table = [
    line(columns.map(({ title }) => title)),
    line(columns.map(({ left }) => left ? "---" : "---:")),
    ...rows.map((row) => line(columns.map(({ cell }) => cell(row).replaceAll("|", "\\|")))),
  ];
  return [...table, "", ...notes(rows).map((note) => `- ${note}`)].join("\n") + "\n";
}

/** What a reader must know to read the figures, and which of them say little. */
export function notes(rows: readonly EvalRow[]): string[] {
  const list = [
    "Score: mean over samples with its 95 % Wilson interval where every score is 0 or 1, else ± standard error. Loss: full − policy on the same " +
    "samples, in points, ± standard error. KL (nats), top-1: against the full cache over the first 32 tokens of its answer. Hit rate: share of the " +
    "slots that this answer attends to most which the policy kept. ms/chunk: what the policy adds. read: until the question; all: until the answer's end.",
  ];
  if (new Set(rows.map(({ protocol }) => protocol)).size > 2) {
    list.push(
      "A policy that does not ask with the question reads the same under both protocols, and is measured once.",
    );
  }
  for (const row of rows) {
    if (row.policy !== FULL) continue;
    const where = `${row.task}${row.length === null ? "" : ` at ${row.length} tokens`}`;
    if (row.score.mean < 0.4) {
      list.push(
        `The model cannot do ${where} with everything kept (${percent(row.score.mean)}): its losses say little.`,
      );
    } else if (row.score.count < 50) {
      list.push(`${where}: ${row.score.count} samples are few, 50 or more make a claim.`);
    }
    if (row.known !== null && row.known > 0) {
      list.push(`${where}: without the document the model scores ${percent(row.known)}.`);
    }
  }
  return list;
}
