/** The report's drawings, as inline SVG that takes its colours from the style sheet. */
import { escape } from "../eval/report_charts.ts";
import { shade } from "./shades.ts";
import { type LayerGroup, share } from "./survival.ts";
import type { Trace } from "./trace.ts";

/** A number as readers of English write it. */
export const count = (value: number): string => Math.round(value).toLocaleString("en");

const WIDTH = 900, LABEL = 96;

/**
 * A row for every group of layers, the document from left to right: the darker, the more of its slots are left.
 * @param marks places in the document, 0 to 1
 */
export function survivalMap(groups: readonly LayerGroup[], marks: readonly number[]): string {
  const length = groups[0]?.kept.length ?? 0, columns = Math.max(1, Math.min(240, length)), row = 22;
  const width = (WIDTH - LABEL) / columns, height = groups.length * row + 26;
  const cells = groups.map((group, i) => {
    const y = 20 + i * row;
    const parts = Array.from(
      { length: columns },
      (_, at) => share(group, Math.floor(at * length / columns), Math.floor((at + 1) * length / columns)),
    );
    const rects = parts.map((part, at) =>
      part === 0
        ? ""
        : `<rect class="f${shade(part)}" x="${(LABEL + at * width).toFixed(1)}" y="${y}" width="${
          (width + 0.3).toFixed(1)
        }" height="${row - 3}"><title>${Math.floor(100 * at / columns)} %: ${
          (100 * part).toFixed(1)
        } % of the slots are left</title></rect>`
    ).join("");
    return `<text x="${LABEL - 8}" y="${y + 14}" text-anchor="end">${
      escape(group.name)
    }</text><rect class="none" x="${LABEL}" y="${y}" width="${WIDTH - LABEL}" height="${row - 3}"/>${rects}`;
  }).join("");
  const flags = marks.map((at, i) => {
    const x = LABEL + at * (WIDTH - LABEL);
    return `<a href="#c${i + 1}"><path class="flag" d="M${x.toFixed(1)} 19 l-5 -9 h10 z"/><text class="flagged" x="${
      x.toFixed(1)
    }" y="8" text-anchor="middle">${i + 1}</text></a>`;
  }).join("");
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="What is left of the document, by groups of layers">${cells}${flags}</svg>`;
}

/** Slots per head over what was read: up with every chunk, down with every compaction. */
export function budgetChart(chunks: Trace["chunks"], budget: number): string {
  const height = 150, bottom = 26, top = 8;
  const most = Math.max(budget, ...chunks.map(({ before }) => before)) * 1.05, end = chunks.at(-1)!.tokens;
  const x = (tokens: number) => (LABEL + (WIDTH - LABEL) * tokens / end).toFixed(1);
  const y = (slots: number) => (top + (height - top - bottom) * (1 - slots / most)).toFixed(1);
  const line = chunks.map(({ tokens, before, after }) => `L${x(tokens)} ${y(before)}L${x(tokens)} ${y(after)}`).join(
    "",
  );
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="Slots per head while reading">
<path class="axis" d="M${LABEL} ${y(0)}H${WIDTH}"/><path class="budget" d="M${LABEL} ${y(budget)}H${WIDTH}"/>
<text x="${LABEL - 8}" y="${Number(y(budget)) + 4}" text-anchor="end">${count(budget)} slots</text><text x="${
    LABEL - 8
  }" y="${Number(y(0)) + 4}" text-anchor="end">0</text>
<path class="live" d="M${LABEL} ${y(0)}${line}"/><text x="${WIDTH}" y="${height - 8}" text-anchor="end">${
    count(end)
  } tokens read</text></svg>`;
}
