/**
 * The report of one answer: a page that needs nothing else. The question and its answer, the passages that it came from, and the whole document, in which
 * what is left in memory stands out and what was evicted has faded, as on a palimpsest.
 */
import { escape } from "../eval/report_charts.ts";
import type { AnswerRecord, RecalledPassage } from "../record.ts";
import type { Tokenizer } from "../text/tokenizer.ts";
import { printable } from "../text/printable.ts";
import { budgetChart, count, survivalMap } from "./charts.ts";
import { REPORT_MARK } from "./mark.ts";
import { LETTERS, shade, SHADES } from "./shades.ts";
import { style } from "./style.ts";
import { type LayerGroup, share, survival } from "./survival.ts";
import type { Trace } from "./trace.ts";

/** Stretches of the document that are shaded at most: a page of a long book stays small. */
const MOST_STRETCHES = 16_000;

export interface ReportInput {
  record: AnswerRecord;
  question: string;
  trace: Trace;
  tokenizer: Pick<Tokenizer, "textStream">;
  /** The program and its version. */
  program: string;
}

export function reportPage({ record, question, trace, tokenizer, program }: ReportInput): string {
  const groups = survival(trace), names = record.document.sources.map(({ name }) => shortName(name)).join(", ");
  const citations = record.citations ?? record.passages.toReversed();
  const pick = groups.map(({ name }, i) =>
    `<label><input type="radio" name="g" id="g${i}"${i === 0 ? " checked" : ""}>${escape(name)}</label>`
  ).join("");
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
${REPORT_MARK}
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escape(printable(question).slice(0, 80))} — ${escape(names)}</title><style>${
    style(groups.length)
  }</style></head><body>
<header><p class="kind">${escape(record.command)} · ${escape(names)}</p><h1>${escape(printable(question))}</h1>
<blockquote class="answer">${paragraphs(record.answer)}</blockquote>
${record.finish === "length" ? `<p class="hint">The answer was cut at --max-tokens.</p>` : ""}</header>
<main><section><h2>Where it came from</h2>
<p class="hint">The passages that question and answer look at most, the best first.</p>
${
    citations.length > 0
      ? `<ol class="cites">${citations.map((one, i) => citation(one, i, trace)).join("")}</ol>`
      : "<p>No passage stands out.</p>"
  }
</section>
<section><h2>What stayed in memory</h2>
<p class="hint">${keptSentence(record)}</p>
${survivalMap(groups, citations.map(({ at }) => at))}
${
    trace.chunks.length > 1
      ? `<h3>Slots while reading</h3>${budgetChart(trace.chunks, record.kv.budgetSlots)}`
      : ""
  }</section>
<section><h2>Figures</h2>${figures(record)}</section>
<section class="text"><h2>The document</h2>
<div class="pick"><span>Shown for</span>${pick}<span class="scale" aria-hidden="true">${
    Array.from({ length: SHADES + 1 }, (_, i) => `<i class="k${i}"></i>`).join("")
  }</span><span>evicted … left in every head</span></div>
<article>${documentText(trace, groups, tokenizer, citations)}</article></section></main>
<footer>${escape(program)} · model ${escape(record.model.name)} · ${escape(record.device.kind)} (${
    escape(record.device.name)
  })</footer>
</body></html>
`;
}

function keptSentence({ kv, document }: AnswerRecord): string {
  if (kv.compactions === 0) {
    return `All ${count(document.tokens)} tokens fit into the budget of ${
      count(kv.budgetSlots)
    } slots per head: nothing was evicted.`;
  }
  return `${count(document.tokens)} tokens were read into ${count(kv.budgetSlots)} slots per head; ${
    count(kv.evictedSlots)
  } slots per head were evicted in ` +
    `${count(kv.compactions)} compactions. Dark is where slots are left; the marks are the passages above.`;
}

function citation(passage: RecalledPassage, i: number, { document: { first, end } }: Trace): string {
  const { at, source, page, section, text } = passage;
  const where = [source && shortName(source), page === undefined ? null : `page ${page}`, section].filter(Boolean).join(
    " · ",
  );
  const token = Math.round(at * (end - first));
  return `<li><a href="#c${i + 1}"><b>${escape(where || `${Math.floor(100 * at)} %`)}</b> <span>token ${
    count(token)
  }, ${Math.floor(100 * at)} %</span></a><p>${escape(printable(text))}</p></li>`;
}

function figures({ document, kv, policy, timing, model }: AnswerRecord): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(1)} s`,
    mib = (bytes: number) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const facts: [string, string][] = [
    ["Tokens of the document", count(document.tokens)],
    ["Budget", `${count(kv.budgetSlots)} slots per head`],
    ["KV memory", `${mib(kv.bytes)} for ${count(kv.capacitySlots)} slots, ${kv.type}`],
    ["Evicted", `${count(kv.evictedSlots)} slots per head in ${count(kv.compactions)} compactions`],
    ["Positions", `${kv.positions}, of ${count(model.trainedPositions)} trained`],
    ["Policy", policy.name],
    [
      "Reading",
      `${count(timing.prefillTokens)} tokens in ${seconds(timing.prefillMs)}, ${
        seconds(timing.policyMs)
      } of it the policy`,
    ],
    ["Writing", `${count(timing.decodeTokens)} tokens in ${seconds(timing.decodeMs)}`],
    ["Peak memory", mib(timing.peakRssBytes)],
    ...document.sources.map(({ name, type, pages, tokens, sha256 }): [string, string] => [
      shortName(name),
      `${type}, ${pages === undefined ? "" : `${count(pages)} pages, `}${count(tokens)} tokens${
        sha256 ? `, SHA-256 ${sha256.slice(0, 16)}…` : ""
      }`,
    ]),
  ];
  return `<dl>${
    facts.map(([word, value]) => `<div><dt>${escape(word)}</dt><dd>${escape(value)}</dd></div>`).join("")
  }</dl>`;
}

/** The text in stretches of equally many tokens, each with a shade for every group of layers. */
function documentText(
  trace: Trace,
  groups: LayerGroup[],
  tokenizer: ReportInput["tokenizer"],
  citations: RecalledPassage[],
): string {
  const { document: { first, end }, places } = trace, length = end - first;
  const size = Math.max(4, Math.ceil(length / MOST_STRETCHES));
  const starts = citations.map(({ at }) => Math.round(at * length)), stream = tokenizer.textStream();
  const token = tokenAt(trace);
  let html = "", place = "", gap = false;
  for (let from = 0; from < length; from += size) {
    const to = Math.min(length, from + size);
    starts.forEach((start, i) => {
      if (start >= from && start < to) html += `<a class="mark" id="c${i + 1}">${i + 1}</a>`;
    });
    const now = places?.at(first + from), title = now ? placeTitle(now, place === "") : "";
    if (title && title !== place) {
      html += `<h4>${escape(title)}</h4>`;
      place = title;
    }
    let text = "";
    for (let at = from; at < to; at++) {
      const id = token(first + at);
      if (id === null) {
        if (!gap) text += stream.finish() + " … ";
        gap = true;
      } else {
        text += stream.push(id);
        gap = false;
      }
    }
    if (to === length) text += stream.finish();
    if (text === "") continue;
    const shades = groups.map((group, i) => `${LETTERS[i]}${shade(share(group, from, to))}`).join(" ");
    html += `<i class="${shades}">${lines(text)}</i>`;
  }
  return html;
}

/** A token of the prompt by its index; null where it is no longer known. */
function tokenAt({ tokens, known }: Trace): (source: number) => number | null {
  if (!known) return (source) => tokens[source] ?? null;
  let at = 0;
  return (source) => {
    while (at < known.sources.length && known.sources[at]! < source) at++;
    return known.sources[at] === source ? known.tokens[at]! : null;
  };
}

function placeTitle(
  { source, page, section }: { source: string; page?: number; section?: string },
  isFirst: boolean,
): string {
  const parts = [page === undefined ? null : `Page ${page}`, section].filter(Boolean);
  return parts.length > 0 ? parts.join(" · ") : isFirst ? shortName(source) : "";
}

/** Without folders: a report is passed on. */
const shortName = (name: string): string => printable(name.replace(/^.*[/\\]/, ""));

const lines = (text: string): string => escape(printable(text)).replace(/\n{2,}/g, "<br><br>").replace(/\n/g, "<br>");

const paragraphs = (text: string): string =>
  printable(text).split(/\n+/).map((line) => `<p>${escape(line)}</p>`).join("");
