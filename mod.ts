/**
 * Palimpsest as a library: open a model, read documents inside a fixed key/value budget, and answer.
 * @module
 */
export { answer, type AnswerRequest } from "./core/answer.ts";
export { bytesPerSlot } from "./core/cache.ts";
export { type BudgetRequest, DEFAULT_BUDGET, resolveBudget } from "./core/budget.ts";
export { type Source } from "./core/text/document.ts";
export * from "./core/errors.ts";
export type { FileSystem, RandomAccessFile } from "./core/files.ts";
export { type LoadedModel, openModel, type OpenModelOptions } from "./core/model.ts";
export { parsePolicy, policies } from "./core/policies.ts";
export type { AnswerEvent, AnswerRecord, PolicyRecord, Positions, SourceRecord } from "./core/record.ts";
