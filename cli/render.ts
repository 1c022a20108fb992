/** What stderr shows while a command runs: one live line on a terminal, remarks, and the statistics at the end. */
import process from "node:process";
import type { AnswerEvent, AnswerRecord, RecalledPassage } from "../core/record.ts";
import { useColor } from "./color.ts";
import { readableBytes, readableCount, readableDuration } from "./numbers.ts";
import { isTerminal, printable, writeErr } from "./output.ts";
import { eventRenderer } from "./progress_events.ts";

type Progress = Extract<AnswerEvent, { type: "progress" }>;

/** How talkative stderr is. */
export interface RenderOptions {
  quiet?: boolean | undefined;
  verbose?: boolean | undefined;
  color?: boolean | undefined;
  /** `json`: events for programs, terminal or not. */
  progress?: "auto" | "json" | undefined;
}

/** The stderr side of a command. */
export interface Renderer {
  /** What is being waited for; shown on a terminal only, until something else is. */
  status(text: string): void;
  /** Reading a document: the live line. */
  progress(event: Progress): void;
  /** Anything else that takes time, in bytes: a download, a checksum. */
  transfer(phase: string, done: number, total?: number): void;
  /** One sentence that the user should know. */
  remark(text: string): void;
  /** Ends the live line, so that something else can be printed. */
  clear(): void;
  /** What `--cite` asks for: also where stderr is no terminal. */
  citations(passages: RecalledPassage[]): void;
  statistics(record: AnswerRecord): void;
}

const liveEvery = 100;
const plainEvery = 5000;

/**
 * A renderer for this process. Silent when stderr is not a terminal unless `verbose`, and with `quiet` always; without a terminal the live line
 * becomes a plain line every five seconds.
 */
export function createRenderer(options: RenderOptions): Renderer {
  if (options.progress === "json" && !options.quiet) return eventRenderer();
  const terminal = isTerminal.stderr();
  const speaks = !options.quiet && (terminal || options.verbose === true);
  const dim = useColor(options.color, terminal) ? (text: string) => `\x1b[2m${text}\x1b[22m` : (text: string) => text;
  let live = false;
  let last = 0;
  let phase = "";
  let started = performance.now();
  let startedAt = 0;

  function clear(): void {
    if (live) writeErr("\r\x1b[K");
    live = false;
  }

  function show(
    name: string,
    done: number,
    total: number | undefined,
    text: (rate: number, left: string) => string,
  ): void {
    if (!speaks) return;
    const now = performance.now();
    if (name !== phase) {
      [phase, started, startedAt, last] = [name, now, done, 0];
      // The first piece has come in before its time could be taken: the rate counts from here on.
      if (!terminal) last = now;
    }
    const finished = total !== undefined && done >= total;
    if (now - last < (terminal ? liveEvery : plainEvery) && !(terminal && finished)) return;
    last = now;
    const rate = (done - startedAt) / Math.max(1e-3, (now - started) / 1000);
    const left = total !== undefined && rate > 0 && !finished
      ? ` · ${readableDuration(1000 * (total - done) / rate)} left`
      : "";
    if (terminal) line(text(rate, left));
    else writeErr(printable(text(rate, left)) + "\n");
  }

  function line(text: string): void {
    writeErr(`\r${dim(printable(text).slice(0, Math.max(20, (process.stderr.columns || 80) - 1)))}\x1b[K`);
    live = true;
  }

  return {
    clear,
    status(text) {
      phase = ""; // what comes next is another document, whose rate is its own
      if (speaks && terminal) line(text);
    },
    progress(event) {
      // While an answer is written, the answer itself is the progress.
      if (event.phase !== "prefill") return;
      const { done, total, liveSlots, budgetSlots } = event;
      show("reading", done, total, (rate, left) => {
        const share = total ? ` of ${readableCount(total)} (${Math.floor(100 * done / total)} %)` : "";
        const speed = rate > 0 ? ` · ${readableCount(rate)} tok/s` : "";
        return `reading ${readableCount(done)}${share} tokens${speed}${left} · ${readableCount(liveSlots)} of ${
          readableCount(budgetSlots)
        } slots`;
      });
    },
    transfer(name, done, total) {
      show(name, done, total, (rate, left) => {
        const share = total ? ` of ${readableBytes(total)} (${Math.floor(100 * Math.min(1, done / total))} %)` : "";
        return `${name} ${readableBytes(done)}${share}${rate > 0 ? ` · ${readableBytes(rate)}/s` : ""}${left}`;
      });
    },
    remark(text) {
      if (!speaks) return;
      clear();
      writeErr(`palimpsest: ${printable(text)}\n`);
    },
    citations(passages) {
      if (options.quiet) return;
      clear();
      const lines = passages.map((passage, i) => `[${i + 1}] ${placeOf(passage)}\n    ${passage.text}\n`);
      writeErr(printable(lines.join("") || "No passage stands out\n"));
    },
    statistics(record) {
      if (!speaks) return;
      clear();
      writeErr(statisticsLines(record, options.verbose === true).map((line) => dim(printable(line)) + "\n").join(""));
    },
  };
}

/** Where a passage stands, in words. */
export function placeOf({ at, source, page, section }: RecalledPassage): string {
  const where = [source, page === undefined ? undefined : `page ${page}`, section && `“${section}”`].filter(Boolean);
  return [...where, `${Math.floor(100 * at)} %`].join(", ");
}

/** The record in words: what was read, what was kept of it, how long it took. */
export function statisticsLines(record: AnswerRecord, verbose: boolean): string[] {
  const { document, kv, timing } = record;
  const perSecond = (tokens: number, ms: number) => `${readableCount(1000 * tokens / Math.max(1, ms))} tok/s`;
  const held = record.parts !== undefined && record.parts > 1
    ? `answered in ${readableCount(record.parts)} parts of up to ${readableCount(kv.budgetSlots)} slots`
    : kv.compactions === 0
    ? `all kept in ${readableCount(kv.budgetSlots)} slots`
    : `compressed into ${readableCount(kv.budgetSlots)} slots`;
  const parts = [
    `read ${readableCount(document.tokens)} tokens (${perSecond(timing.prefillTokens, timing.prefillMs)}), ${held}`,
    // the first token came with the prompt
    `wrote ${readableCount(timing.decodeTokens)}${
      timing.decodeTokens > 1 ? ` (${perSecond(timing.decodeTokens - 1, timing.decodeMs)})` : ""
    }`,
    readableDuration(timing.loadMs + timing.prefillMs + timing.decodeMs),
    `KV ${readableBytes(kv.bytes)}`,
    `peak memory ${readableBytes(timing.peakRssBytes)}`,
  ];
  const lines = [parts.join(" · ")];
  if (record.finish === "length") lines.push("the answer was cut at --max-tokens");
  if (!verbose) return lines;
  const { policy } = record;
  return [
    ...lines,
    `model ${record.model.name} (${record.model.architecture}, trained on ${
      readableCount(record.model.trainedPositions)
    } positions) on ` +
    `${record.device.kind} (${record.device.name})`,
    `policy ${policy.name}: probe ${policy.probe}, aggregate ${policy.aggregate}, allocate ${policy.allocate}, select ${policy.select}, ` +
    `compensate ${policy.compensate}, recall ${policy.recall}, decode ${policy.decode}`,
    `cache: capacity ${readableCount(kv.capacitySlots)} slots, peak ${readableCount(kv.peakLiveSlots)}, ${
      readableCount(kv.compactions)
    } compactions, ` +
    `${readableCount(kv.evictedSlots)} slots evicted${
      kv.decodeBudgetSlots === null ? "" : `, ${readableCount(kv.evictedWrittenSlots)} of what was written`
    }, ${kv.positions} positions; policy ${readableDuration(timing.policyMs)} of ` +
    `${readableDuration(timing.prefillMs + timing.decodeMs)}, load ${readableDuration(timing.loadMs)}`,
    ...record.draft === undefined ? [] : [`first answer: ${shortened(record.draft, 160)}`],
    ...record.passages.map((passage) => `read again, from ${placeOf(passage)}: ${shortened(passage.text, 160)}`),
  ];
}

function shortened(text: string, length: number): string {
  return text.length <= length ? text : `${text.slice(0, length - 1).trimEnd()}…`;
}
