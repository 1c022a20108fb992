/** How an answer is scored, from 0 to 1, and which metric a task of RULER or LongBench has (kvpress's evaluation chooses the same way). */
import { classification } from "./metrics/classification.ts";
import { codeSimilarity } from "./metrics/code.ts";
import { containsAll, containsAny } from "./metrics/contains.ts";
import { f1 } from "./metrics/f1.ts";
import { count, retrieval } from "./metrics/numbers.ts";
import { rougeL } from "./metrics/rouge_l.ts";
import type { MetricName, Sample } from "./task.ts";

export type ScoredSample = Pick<Sample, "answers" | "metric" | "classes" | "firstLine">;

/** Against one reference. */
const single = {
  f1,
  rouge_l: rougeL,
  retrieval,
  count,
  code: codeSimilarity,
} satisfies Partial<Record<MetricName, (answer: string, reference: string) => number>>;

/** Score of an answer: of several references the one that it meets best, but for `all`, which wants every one of them. */
export function score(answer: string, { answers, metric, classes = [], firstLine }: ScoredSample): number {
  const text = firstLine ? answer.replace(/^\n+/, "").split("\n")[0]! : answer;
  if (metric === "all") return containsAll(text, answers);
  if (metric === "part") return containsAny(text, answers);
  const one = metric === "classification"
    ? (answer: string, reference: string) => classification(answer, reference, classes)
    : single[metric];
  return Math.max(...answers.map((reference) => one(text, reference)));
}

export const metricNames: readonly MetricName[] = [
  "all",
  "part",
  "f1",
  "rouge_l",
  "classification",
  "retrieval",
  "count",
  "code",
];

const byTask: Record<string, MetricName> = {};
const assign = (metric: MetricName, names: string) => names.split(" ").forEach((name) => byTask[name] = metric);
assign("part", "qa_1 qa_2");
assign("all", "vt cwe fwe");
assign("f1", "narrativeqa qasper multifieldqa_en hotpotqa 2wikimqa musique triviaqa");
assign("rouge_l", "gov_report qmsum multi_news samsum");
assign("classification", "trec");
assign("retrieval", "passage_retrieval_en");
assign("count", "passage_count");
assign("code", "lcc repobench-p");

/** LongBench's tasks of which only the first line of an answer counts. */
const FIRST_LINE = new Set(["trec", "triviaqa", "samsum"]);

/** Metric of a task by its name; LongBench-E's "_e" is the same task. Unknown tasks: any reference contained. */
export function metricFor(task: string): { metric: MetricName; firstLine: boolean } {
  const name = task.replace(/_e$/, "");
  const metric = name.startsWith("niah") ? "all" : Object.hasOwn(byTask, name) ? byTask[name]! : "part";
  return { metric, firstLine: FIRST_LINE.has(name) };
}
