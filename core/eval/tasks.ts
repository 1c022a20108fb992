/** Every task that `eval` can make by itself. */
import { UsageError } from "../errors.ts";
import type { Task } from "./task.ts";
import { commonWords } from "./tasks/common_words.ts";
import { frequentWords } from "./tasks/frequent_words.ts";
import { niahTasks } from "./tasks/niah.ts";
import { paraphrase } from "./tasks/paraphrase.ts";
import { recall } from "./tasks/recall.ts";
import { variableTracking } from "./tasks/variable_tracking.ts";

export const tasks: readonly Task[] = [...niahTasks, variableTracking, commonWords, frequentWords, paraphrase, recall];

/** What is measured where no task is named: what a small model can do, and one that it must understand. */
export const DEFAULT_TASKS = ["niah_single_2", "niah_multikey_1", "paraphrase", "recall"];

/** @throws {UsageError} naming the tasks there are */
export function findTask(name: string): Task {
  const task = tasks.find((task) => task.name === name);
  if (!task) throw new UsageError(`Unknown task "${name}": use ${tasks.map((task) => task.name).join(", ")}`);
  return task;
}
