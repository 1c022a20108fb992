/** The report: one HTML file that needs nothing else. Charts first, every figure beneath. */
import { FULL } from "./reading.ts";
import { escape, type HeatCell, heatMap, lineChart, type LineSeries, mark, STYLES } from "./report_charts.ts";
import { style } from "./report_style.ts";
import type { EvalResult, Protocol } from "./result.ts";
import { mean, standardError } from "./statistics.ts";
import { aggregate, columns, notes } from "./table.ts";

export interface ReportHead {
  /** Model, device, settings: words and values, in the order in which they are shown. */
  facts: readonly [string, string][];
  /** Command that made the results. */
  command: string;
}

const PROTOCOLS: Record<Protocol, string> = {
  aware: "Query-aware: the policy knows the question while it reads",
  agnostic: "Query-agnostic: the document is read before the question is known",
};

/** Parts of the document that recall is shown for. */
const DEPTHS = ["0–20 %", "20–40 %", "40–60 %", "60–80 %", "80–100 %"];

export function report(results: readonly EvalResult[], head: ReportHead): string {
  const policies = [...new Set(results.map(({ policy }) => policy))].filter((policy) => policy !== FULL);
  const protocols = [...new Set(results.map(({ protocol }) => protocol))].filter((one) => one !== null);
  const styles = new Map(policies.map((policy, i) => [policy, i]));
  const rows = aggregate(results);
  const facts = head.facts.map(([word, value]) => `<div><dt>${escape(word)}</dt><dd>${escape(value)}</dd></div>`);
  const sections = protocols.map((protocol) => {
    const mine = results.filter((result) => result.protocol === protocol || result.protocol === null);
    return `<section><h2>${PROTOCOLS[protocol]}</h2>
<h3>Score against budget</h3>
${legend(policies.filter((policy) => mine.some((result) => result.policy === policy)), styles)}
<div class="charts">${budgetCharts(mine, styles)}</div>
${depthMaps(mine)}</section>`;
  });
  const table = `<table class="figures"><thead><tr>${
    columns.map(({ title, left }) => `<th scope="col"${left ? ` class="left"` : ""}>${escape(title)}</th>`).join("")
  }</tr></thead><tbody>${
    rows.map((row) =>
      `<tr${row.policy === FULL ? ` class="reference"` : ""}>${
        columns.map(({ cell, left }) => `<td${left ? ` class="left"` : ""}>${escape(cell(row))}</td>`).join("")
      }</tr>`
    ).join("\n")
  }</tbody></table>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><title>Palimpsest eval</title><style>${style}</style></head>
<body><main><h1>What the memory kept</h1>
<p class="lead">Documents read inside a fixed key/value budget, compared with a cache that keeps everything.</p>
<dl>${facts.join("")}</dl>
${sections.join("\n")}
<section><h2>Every figure</h2><div class="scroll">${table}</div>
<ul>${notes(rows).map((note) => `<li>${escape(note)}</li>`).join("")}</ul>
<p class="command"><code>${escape(head.command)}</code></p></section>
</main></body></html>
`;
}

function legend(policies: readonly string[], styles: ReadonlyMap<string, number>): string {
  const items = policies.map((policy) => {
    const style = styles.get(policy)!, dashes = style >= STYLES ? ` stroke-dasharray="5 4"` : "";
    return `<li><svg viewBox="0 0 28 12" class="key"><g class="series s${
      style % STYLES
    }"><path d="M1 6L27 6"${dashes}/>${mark(style, 14, 6)}</g></svg>${escape(policy)}</li>`;
  });
  const full =
    `<li><svg viewBox="0 0 28 12" class="key"><line class="full" x1="1" x2="27" y1="6" y2="6"/></svg>full cache</li>`;
  return `<ul class="legend">${items.join("")}${full}</ul>`;
}

/** One chart per task and length. */
function budgetCharts(results: readonly EvalResult[], styles: ReadonlyMap<string, number>): string {
  const places = new Map<string, EvalResult[]>();
  for (const result of results) {
    const place = `${result.task}, ${result.length === null ? "file" : `${result.length} tokens`}`;
    places.set(place, [...places.get(place) ?? [], result]);
  }
  return [...places].map(([place, mine]) => {
    const rows = aggregate(mine), full = rows.find(({ policy }) => policy === FULL);
    const series: LineSeries[] = [...styles].map(([name, style]) => ({
      name,
      style,
      points: rows.filter(({ policy }) => policy === name).map(({ budget, budgetSlots, score }) => ({
        x: budgetSlots,
        y: score.mean,
        low: score.interval?.low ?? (score.error === null ? null : score.mean - score.error),
        high: score.interval?.high ?? (score.error === null ? null : score.mean + score.error),
        title: `${(100 * score.mean).toFixed(0)} % at ${budget} (${score.count} samples)`,
      })),
    })).filter(({ points }) => points.length > 0);
    const chart = lineChart(series, full?.score.mean ?? null, `Score against budget, ${place}`);
    return `<figure><figcaption>${escape(place)}</figcaption>${chart}</figure>`;
  }).join("");
}

/** Maps of each policy, one for each budget, over all tasks that ask for one place; nothing where there is none. */
function depthMaps(results: readonly EvalResult[]): string {
  const placed = results.filter(({ depth, length }) => depth !== null && length !== null);
  if (placed.length === 0) return "";
  const lengths = [...new Set(placed.map(({ length }) => length!))].sort((a, b) => a - b);
  const budgets = (mine: readonly EvalResult[]) => [...new Set(mine.map(({ budget }) => budget))];
  const rows = [...new Set(placed.map(({ policy }) => policy))].map((policy) => {
    const own = placed.filter((result) => result.policy === policy);
    const maps = budgets(own).map((budget) => {
      const mine = own.filter((result) => result.budget === budget), all = mine.map(({ score }) => score);
      const error = standardError(all);
      const total = `${(100 * mean(all)).toFixed(0)} %${error === null ? "" : ` ± ${(100 * error).toFixed(0)}`}`;
      return `<figure><figcaption>${escape(spellBudget(budget))} <span>${total}</span></figcaption>${
        heatMap(DEPTHS, lengths.map(String), depthCells(mine, lengths))
      }</figure>`;
    });
    return `<div><h4>${policy === FULL ? "full cache" : escape(policy)}</h4><div class="maps">${
      maps.join("")
    }</div></div>`;
  });
  return `<h3>Recall by depth and length, %</h3>
<p class="hint">Rows: where in the document the answer stands. Columns: its length in tokens. A dot was not measured.</p>
<div class="policies">${rows.join("\n")}</div>`;
}

/** [parts of the document][lengths] */
function depthCells(results: readonly EvalResult[], lengths: readonly number[]): HeatCell[][] {
  const part = (depth: number) => Math.min(DEPTHS.length - 1, Math.floor(depth * DEPTHS.length));
  return DEPTHS.map((_, row) =>
    lengths.map((length) => {
      const here = results.filter((result) => result.length === length && part(result.depth!) === row);
      return { score: here.length > 0 ? mean(here.map(({ score }) => score)) : null, count: here.length };
    })
  );
}

const spellBudget = (budget: string | null) =>
  budget === null ? "everything kept" : budget.endsWith("%") ? budget : `${budget} slots`;
