/**
 * `--tasks file.jsonl`: samples that somebody else made, one JSON object a line, with kvpress's columns: context, question, answer_prefix, answer or answers,
 * max_new_tokens, and optionally task, metric, all_classes. RULER's and LongBench's data sets in that form run as they are.
 */
import { InputError } from "../errors.ts";
import { metricFor, metricNames } from "./metrics.ts";
import type { MetricName, Sample } from "./task.ts";

const DEFAULT_TASK = "file", DEFAULT_NEW_TOKENS = 128;

/**
 * @param name of the file, for messages
 * @throws {InputError} naming the line
 */
export function parseTasksFile(text: string, name: string): Sample[] {
  const samples: Sample[] = [];
  text.replace(/^\uFEFF/, "").split(/\r?\n/).forEach((line, i) => {
    if (line.trim() !== "") samples.push(parseLine(line, `${name}, line ${i + 1}`, samples.length));
  });
  if (samples.length === 0) throw new InputError(`${name} has no task: each line must be a JSON object`);
  return samples;
}

function parseLine(line: string, where: string, index: number): Sample {
  let row: Record<string, unknown>;
  try {
    row = JSON.parse(line);
  } catch (error) {
    throw new InputError(`${where} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) {
    throw new InputError(`${where} must be a JSON object with context, question and answer`);
  }
  const fail = (column: string, wish: string): never => {
    const value = row[column];
    const shown = value === undefined ? "it is missing" : `current value is ${JSON.stringify(value)?.slice(0, 60)}`;
    throw new InputError(`${where}: ${column} must be ${wish}, ${shown}`);
  };
  const words = (column: string, fallback?: string): string => {
    const value = row[column] ?? fallback;
    return typeof value === "string" ? value : fail(column, "a text");
  };
  const list = (column: string): string[] => {
    const value = row[column], all = Array.isArray(value) ? value : [value];
    const usable = all.every((one) => typeof one === "string" || typeof one === "number");
    if (all.length === 0 || !usable || all.some((one) => String(one).trim() === "")) {
      return fail(column, "a text or a list of texts");
    }
    return all.map(String);
  };

  const context = words("context");
  if (context.trim() === "") fail("context", "a text that is not empty");
  const question = words("question").trim();
  if (question === "") fail("question", "a text that is not empty");
  const answers = list(row["answers"] === undefined ? "answer" : "answers");
  const task = words("task", DEFAULT_TASK);
  const chosen = metricFor(task);
  if (row["metric"] !== undefined && !metricNames.includes(row["metric"] as MetricName)) {
    fail("metric", `one of ${metricNames.join(", ")}`);
  }
  const metric = row["metric"] as MetricName | undefined ?? chosen.metric;
  const maxNewTokens = row["max_new_tokens"] ?? DEFAULT_NEW_TOKENS;
  if (!Number.isInteger(maxNewTokens) || (maxNewTokens as number) < 1) {
    fail("max_new_tokens", "a whole number from 1 on");
  }
  const classes = metric === "classification" ? list("all_classes") : undefined;
  return {
    task,
    context,
    question,
    answerPrefix: words("answer_prefix", "").trim(),
    answers,
    maxNewTokens: maxNewTokens as number,
    metric,
    ...(classes ? { classes } : {}),
    ...(chosen.firstLine ? { firstLine: true } : {}),
    guessable: true,
    seed: index,
  };
}
