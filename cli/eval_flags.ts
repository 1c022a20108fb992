/** The lists that `eval`'s flags hold. */
import { Option } from "@commander-js/extra-typings";
import { UsageError } from "../core/errors.ts";
import { type EvalBudget, parseEvalBudget } from "../core/eval/result.ts";
import { parseBudget } from "./budget_flag.ts";

const add = (text: string, before: string[] | undefined): string[] => [...before ?? [], text];

/** Given as often as one likes; the action takes the lists apart, so that a help screen needs no library. */
export const evalOptions = {
  policies: () =>
    new Option("--policy <list>", "policies to compare: question,snapkv, or stage=variant spellings parted by ;")
      .argParser(add),
  strategies: () =>
    new Option("--strategy <list>", "how to answer: stream,stream+verify,map-reduce (default: stream)").argParser(add),
  budgets: () =>
    new Option(
      "--kv-budget <list>",
      "budgets in slots, as a share of the document or in bytes: 512,25%,32MiB (default: 25%)",
    )
      .argParser(add),
  lengths: () => new Option("--length <list>", "tokens of the documents (default: 2000)").argParser(add),
  tasks: () =>
    new Option(
      "--task <list>",
      "niah_single_1 to _3, niah_multikey_1 to _3, niah_multivalue, niah_multiquery, vt, cwe, fwe, paraphrase, recall",
    ).argParser(add),
  samples: () =>
    new Option("--samples <count>", "documents per task and length (default: 20; of a --tasks file: all)").argParser(
      add,
    ),
  protocol: () =>
    new Option("--protocol <kind>", "does the policy know the question while reading?")
      .choices(["aware", "agnostic", "both"] as const).default("aware" as const),
  file: () =>
    new Option(
      "--tasks <file.jsonl>",
      "your own samples: context, question, answer, answer_prefix, max_new_tokens, task",
    ),
  seed: () => new Option("--seed <number>", "another seed makes other documents (default: 1)").argParser(add),
  out: () => new Option("--out <folder>", "keep results.jsonl, table.md and report.html here"),
  html: () => new Option("--html <file>", "write the report here"),
  fresh: () => new Option("--fresh", "measure everything again, also what is there from an earlier run"),
};

/** A budget in one of `eval`'s three ways. @throws {UsageError} */
export const evalBudget = (text: string): EvalBudget =>
  /^[\d.\s]+[a-z]+\s*$/i.test(text) ? parseBudget(text) : parseEvalBudget(text);

const split = (texts: readonly string[]) => texts.flatMap((text) => text.split(",")).map((part) => part.trim());

/** Parts of a list flag, given once or more often. @throws {UsageError} for an empty part */
export function list(flag: string, texts: readonly string[] | undefined, fallback: readonly string[]): string[] {
  const parts = texts ? split(texts) : [...fallback];
  if (parts.some((part) => part === "")) throw new UsageError(`${flag} has an empty part in ${JSON.stringify(texts)}`);
  return [...new Set(parts)];
}

/** A list of whole numbers. @throws {UsageError} */
export function numbers(
  flag: string,
  texts: readonly string[] | undefined,
  fallback: number,
  least: number,
): number[] {
  return list(flag, texts, [String(fallback)]).map((part) => {
    if (/^\d{1,9}$/.test(part) && Number(part) >= least) return Number(part);
    throw new UsageError(`${flag} takes whole numbers from ${least} on, current value is ${JSON.stringify(part)}`);
  });
}

/** One number. @throws {UsageError} */
export function oneNumber(flag: string, texts: readonly string[] | undefined, fallback: number, least: number): number {
  const [number, ...more] = numbers(flag, texts, fallback, least);
  if (more.length > 0) throw new UsageError(`${flag} takes one number, current value is ${texts!.join(",")}`);
  return number!;
}

/**
 * "question,snapkv" and "snapkv;probe=window,aggregate=mean": names are parted by commas, spellings by semicolons.
 * @throws {UsageError} for a mixture that could mean anything
 */
export function policyList(texts: readonly string[] | undefined, fallback: readonly string[]): string[] {
  if (!texts) return [...fallback];
  const policies = texts.flatMap((text) => text.split(";")).flatMap((piece) => {
    const parts = piece.split(",").map((part) => part.trim()).filter((part) => part !== "");
    const spelled = parts.filter((part) => part.includes("="));
    if (spelled.length === 0) return parts;
    if (spelled.length === parts.length) return [parts.join(",")];
    throw new UsageError(
      `--policy ${JSON.stringify(piece)} mixes names and stage=variant pairs: part them with ;, or give --policy twice`,
    );
  });
  if (policies.length === 0) throw new UsageError("--policy is empty: name at least one, such as question,snapkv");
  return [...new Set(policies)];
}
