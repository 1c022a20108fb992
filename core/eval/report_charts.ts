/** The two drawings of the report, as inline SVG that takes its colours from the page's style sheet. */

/** Text that may stand anywhere in HTML. */
export const escape = (text: string): string =>
  text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

export interface LinePoint {
  /** Slots per KV head. */
  x: number;
  /** Share, 0 to 1. */
  y: number;
  /** Ends of the whisker; null for none. */
  low: number | null;
  high: number | null;
  /** Says the point in words. */
  title: string;
}

export interface LineSeries {
  name: string;
  /** Number of the series' colour and mark, the same in all charts of a page. */
  style: number;
  points: LinePoint[];
}

/** Colours and marks that the style sheet tells apart; more series use them again with dashes. */
export const STYLES = 8;

const WIDTH = 460, HEIGHT = 270, LEFT = 46, RIGHT = 14, TOP = 14, BOTTOM = 46;

/** A mark of its own per series: colours alone do not tell lines apart for everybody. */
export function mark(style: number, x: number, y: number): string {
  const at = (points: string) => `<polygon points="${points}"/>`;
  const r = 4;
  switch (style % 4) {
    case 0:
      return `<circle cx="${x}" cy="${y}" r="${r}"/>`;
    case 1:
      return `<rect x="${x - r + 0.5}" y="${y - r + 0.5}" width="${2 * r - 1}" height="${2 * r - 1}"/>`;
    case 2:
      return at(`${x},${y - r - 1} ${x + r + 1},${y} ${x},${y + r + 1} ${x - r - 1},${y}`);
    default:
      return at(`${x},${y - r - 0.5} ${x + r + 0.5},${y + r - 0.5} ${x - r - 0.5},${y + r - 0.5}`);
  }
}

/**
 * Score against budget, one line per series, budgets on a logarithmic axis. Series that share a budget stand a few pixels apart, so that whiskers do not
 * cover each other.
 * @param full the full cache's score, drawn as a level
 */
export function lineChart(series: readonly LineSeries[], full: number | null, label: string): string {
  const xs = [...new Set(series.flatMap(({ points }) => points.map(({ x }) => x)))].sort((a, b) => a - b);
  const least = Math.log(xs[0] ?? 1), most = Math.log(xs.at(-1) ?? 2), inner = WIDTH - LEFT - RIGHT;
  const edge = xs.length > 1 ? 24 : inner / 2;
  const px = (x: number) =>
    LEFT + edge + (most > least ? (inner - 2 * edge) * (Math.log(x) - least) / (most - least) : 0);
  const py = (y: number) => TOP + (1 - y) * (HEIGHT - TOP - BOTTOM);
  const number = (value: number) => +value.toFixed(1);
  const parts: string[] = [];
  for (const y of [0, 0.25, 0.5, 0.75, 1]) {
    parts.push(`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${number(py(y))}" y2="${number(py(y))}"/>`);
    parts.push(`<text class="tick" x="${LEFT - 8}" y="${number(py(y) + 4)}" text-anchor="end">${100 * y}</text>`);
  }
  let labelled = -Infinity;
  for (const x of xs) {
    parts.push(`<line class="grid" x1="${number(px(x))}" x2="${number(px(x))}" y1="${TOP}" y2="${HEIGHT - BOTTOM}"/>`);
    // labels that would run into each other are left out; the table has every figure
    if (px(x) - labelled < 34) continue;
    labelled = px(x);
    parts.push(`<text class="tick" x="${number(px(x))}" y="${HEIGHT - BOTTOM + 17}" text-anchor="middle">${x}</text>`);
  }
  const middle = (TOP + HEIGHT - BOTTOM) / 2;
  parts.push(
    `<text class="axis" x="${LEFT + inner / 2}" y="${
      HEIGHT - 8
    }" text-anchor="middle">budget, slots per KV head</text>`,
    `<text class="axis" transform="translate(12 ${middle}) rotate(-90)" text-anchor="middle">score, %</text>`,
  );
  if (full !== null) {
    const y = number(py(full));
    parts.push(
      `<line class="full" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y}" y2="${y}"><title>full cache: ${
        (100 * full).toFixed(0)
      } %</title></line>`,
    );
  }
  series.forEach(({ style, points, name }, i) => {
    const shift = (i - (series.length - 1) / 2) * 7;
    const at = (x: number) => number(px(x) + shift);
    const sorted = points.toSorted((a, b) => a.x - b.x);
    const dashes = style >= STYLES ? ` stroke-dasharray="5 4"` : "";
    const path = sorted.map(({ x, y }, n) => `${n ? "L" : "M"}${at(x)} ${number(py(y))}`).join("");
    const marks = sorted.map((point) => {
      const whisker = point.low === null || point.high === null
        ? ""
        : `<line class="whisker" x1="${at(point.x)}" x2="${at(point.x)}" y1="${
          number(py(Math.max(0, point.low)))
        }" y2="${number(py(Math.min(1, point.high)))}"/>`;
      return `<g>${whisker}${mark(style, at(point.x), number(py(point.y)))}<title>${
        escape(`${name}: ${point.title}`)
      }</title></g>`;
    }).join("");
    parts.push(`<g class="series s${style % STYLES}"><path d="${path}"${dashes}/>${marks}</g>`);
  });
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escape(label)}">${parts.join("")}</svg>`;
}

export interface HeatCell {
  /** Mean score, 0 to 1; null where nothing was measured. */
  score: number | null;
  count: number;
}

/**
 * Recall by depth (rows, from the document's start to its end) and length (columns) as a table: readable without seeing colours too.
 * @param cells [rows][columns]
 */
export function heatMap(rows: readonly string[], columns: readonly string[], cells: readonly HeatCell[][]): string {
  const head = columns.map((name) => `<th scope="col">${escape(name)}</th>`).join("");
  const body = rows.map((name, r) => {
    const row = cells[r]!.map(({ score, count }, c) => {
      if (score === null) return `<td class="none" title="not measured">·</td>`;
      const title = `depth ${name}, ${columns[c]} tokens: ${(100 * score).toFixed(0)} % of ${count}`;
      // eleven steps of one hue; the style sheet has a colour and a readable ink for each
      return `<td class="h${Math.round(10 * score)}" title="${escape(title)}">${(100 * score).toFixed(0)}</td>`;
    }).join("");
    return `<tr><th scope="row">${escape(name)}</th>${row}</tr>`;
  }).join("");
  return `<table class="heat"><thead><tr><th class="corner">depth</th>${head}</tr></thead><tbody>${body}</tbody></table>`;
}
