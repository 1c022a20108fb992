/** From what a PDF's page writes, with the place of each piece, to lines and paragraphs. */

/** A piece of text of PDF.js: its place is that of its beginning, from the page's left bottom. */
export interface PdfText {
  str: string;
  /** The last two numbers are x and y. */
  transform: number[];
  width: number;
  height: number;
  /** The line ends behind it. */
  hasEOL: boolean;
}

export interface PdfLine {
  text: string;
  x: number;
  y: number;
  end: number;
  height: number;
}

/** Pieces in the order in which the page writes them, joined to lines. */
export function linesOf(items: readonly PdfText[]): PdfLine[] {
  const lines: PdfLine[] = [];
  let line: PdfLine | null = null;
  for (const { str, transform, width, height, hasEOL } of items) {
    const x = transform[4]!, y = transform[5]!;
    if (str.trim() !== "") {
      // what stands higher or lower by less than half a line is an index or a footnote's number
      const apart: boolean = line !== null && Math.abs(y - line.y) > 0.6 * Math.max(line.height, height);
      if (line === null || apart) {
        line = { text: "", x, y, end: x, height };
        lines.push(line);
      } else if (x - line.end > 0.15 * Math.max(line.height, 1) && !line.text.endsWith(" ")) {
        // columns of a table stand further apart than words
        line.text += x - line.end > 2 * line.height ? "  " : " ";
      }
      line.text += str;
      line.end = x + width;
      line.height = Math.max(line.height, height);
    } else if (str !== "" && line && !line.text.endsWith(" ")) {
      line.text += " ";
      line.end = Math.max(line.end, x + width);
    }
    if (hasEOL) line = null;
  }
  // deno-lint-ignore no-control-regex
  for (const each of lines) each.text = each.text.replace(/[\u0000-\u0008\u000b-\u001f]/g, "").trim();
  return lines.filter(({ text }) => text !== "");
}

/** Lines joined to paragraphs, with an empty line between two: where the lines stand further apart, or letters change their size. */
export function paragraphs(lines: readonly PdfLine[]): string {
  const leading = usualLeading(lines);
  let text = "";
  lines.forEach((line, i) => {
    const before = lines[i - 1];
    if (before) text = joined(text, line, before, leading);
    else text = line.text;
  });
  return text;
}

function joined(text: string, line: PdfLine, before: PdfLine, leading: number): string {
  const down = before.y - line.y, otherSize = Math.abs(line.height - before.height) > 0.15 * before.height;
  if (down > 1.25 * leading || down < 0 || otherSize) return `${text}\n\n${line.text}`;
  // a line that ends long before the others, or a new item of a list, is no line of a paragraph
  if (
    /^([-–•▪*·]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s/.test(line.text) || before.text.includes("  ") ||
    line.text.includes("  ")
  ) {
    return `${text}\n${line.text}`;
  }
  if (/\p{Ll}[-\u00ad]$/u.test(text) && /^\p{Ll}/u.test(line.text)) return text.slice(0, -1) + line.text;
  return `${text.replace(/\u00ad$/, "")}\n${line.text}`;
}

/** How far apart lines of a paragraph are: what a third of the gaps have at most, as larger ones stand between paragraphs. */
function usualLeading(lines: readonly PdfLine[]): number {
  const gaps = lines.slice(1).map((line, i) => lines[i]!.y - line.y).filter((gap) => gap > 0).sort((a, b) => a - b);
  return gaps[Math.floor((gaps.length - 1) / 3)] ?? Infinity;
}
