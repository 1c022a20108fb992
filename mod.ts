/**
 * Palimpsest as a library: open a model, read documents inside a fixed key/value budget, and answer.
 * @module
 */
export { answer, refuseUnrepeatable } from "./core/answer.ts";
export type { AnswerRequest } from "./core/answer_request.ts";
export { MAP_POLICY } from "./core/map_reduce.ts";
export { strategies, type Strategy } from "./core/strategy.ts";
export { type Question, respond } from "./core/respond.ts";
export { type Memory, type MemoryRequest } from "./core/memory.ts";
export { read, type ReadOptions } from "./core/read.ts";
export { reportPage } from "./core/report/page.ts";
export { emptyTrace, type Trace } from "./core/report/trace.ts";
export { bookmark } from "./core/state/bookmark.ts";
export { openState, type StateFile } from "./core/state/file.ts";
export {
  type KeptMemory,
  openKeptMemory,
  restoreMemory,
  saveMemory,
  type StateRequest,
  summaryOf,
} from "./core/state/memory.ts";
export { bytesPerSlot } from "./core/cache.ts";
export { type BudgetRequest, DEFAULT_BUDGET, defaultChunk, resolveBudget, widenedBytes } from "./core/budget.ts";
export { type Source } from "./core/text/document.ts";
export * from "./core/errors.ts";
export type { FileSystem, RandomAccessFile } from "./core/files.ts";
export { DEFAULT_DECODE_BUDGET, writingRoom } from "./core/decode/room.ts";
export {
  type EngineModel,
  type GpuOpener,
  type LoadedModel,
  type OpenedGpu,
  type OpenEngineOptions,
  openModel,
  type OpenModelOptions,
} from "./core/model.ts";
export { defaultPolicies, parsePolicy, policies, policyGroup, spelling } from "./core/policies.ts";
export { stageSummaries } from "./core/stage_summaries.ts";
export type { AnswerEvent, AnswerRecord, PolicyRecord, Positions, SourceRecord } from "./core/record.ts";

export { type Haystack, haystackOf } from "./core/eval/haystack.ts";
export { asksTheQuestion, hearsTheQuestion, measureFull, measurePolicy, ORACLE_POLICY } from "./core/eval/measure.ts";
export { modelsFrom } from "./core/eval/models.ts";
export { report as evalReport } from "./core/eval/report.ts";
export {
  type EvalBudget,
  type EvalResult,
  parseEvalBudget,
  type Protocol,
  spellEvalBudget,
} from "./core/eval/result.ts";
export { type EvalEvent, type PlannedSample, plannedSamples, type ResultStore, runEval } from "./core/eval/run.ts";
export { aggregate as aggregateResults, type EvalRow, markdown as evalTable } from "./core/eval/table.ts";
export type { MetricName, Sample, Task } from "./core/eval/task.ts";
export { DEFAULT_TASKS, findTask, tasks as evalTasks } from "./core/eval/tasks.ts";
export { parseTasksFile } from "./core/eval/tasks_file.ts";
