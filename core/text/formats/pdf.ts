/**
 * PDF, page by page, by PDF.js (unpdf's build of it): the words in the order in which the page writes them, lines joined to paragraphs. No script of the
 * document runs, nothing is fetched, no picture is drawn.
 */
import { InputError } from "../../errors.ts";
import type { Format } from "./format.ts";
import { linesOf, paragraphs, type PdfLine } from "./pdf_lines.ts";
import { whole } from "./whole.ts";

type Pdf = Awaited<ReturnType<typeof import("unpdf").getDocumentProxy>>;

export const readPdf: Format = async function* (bytes, { name, onWarning }) {
  const data = await whole(bytes, name), { getDocumentProxy } = await import("unpdf");
  const options = {
    isEvalSupported: false,
    disableFontFace: true,
    useSystemFonts: false,
    enableXfa: false,
    verbosity: 0,
  };
  const document: Pdf = await getDocumentProxy(data, options as never).catch((error: Error) => {
    throw refused(name, error);
  });
  try {
    const sections = await sectionsOf(document);
    let hasText = false, unreadable = 0, before: Edges[] = [];
    for (let page = 1; page <= document.numPages; page++) {
      let lines: PdfLine[];
      try {
        lines = await pageLines(document, page);
      } catch {
        unreadable++;
        continue;
      }
      const text = paragraphs(withoutRunning(lines, before));
      before = [edgesOf(lines), ...before].slice(0, 2);
      hasText ||= text !== "";
      const section = sections.get(page);
      yield { text: text === "" ? "" : `${text}\n\n`, page, ...section === undefined ? {} : { section } };
    }
    if (unreadable > 0) onWarning(`${name}: ${unreadable} of ${document.numPages} pages are damaged and were left out`);
    if (!hasText) {
      throw new InputError(
        `${name} has ${document.numPages} ${
          document.numPages === 1 ? "page" : "pages"
        } and no text, so it is scanned or drawn: ` +
          "ocrmypdf makes a copy with text",
      );
    }
  } finally {
    await document.cleanup().catch(() => {});
    await document.loadingTask.destroy().catch(() => {});
  }
};

function refused(name: string, error: Error): InputError {
  if (error.name === "PasswordException") {
    return new InputError(`${name} is encrypted: qpdf --decrypt --password=… makes a copy that can be read`, {
      cause: error,
    });
  }
  const reason = error.message.replace(/\.$/, "") || error.name;
  return new InputError(`${name} is a damaged PDF (${reason}): fetch or save it again`, { cause: error });
}

async function pageLines(document: Pdf, number: number): Promise<PdfLine[]> {
  const page = await document.getPage(number);
  try {
    const { items } = await page.getTextContent();
    return linesOf(items.flatMap((item) => "str" in item ? [item] : []));
  } finally {
    page.cleanup();
  }
}

/** What stands at the top and the bottom of a page, but for its numbers. */
interface Edges {
  top: string | null;
  bottom: string | null;
}

const plain = (line: PdfLine | undefined) => line?.text.replace(/\p{N}+/gu, "0") ?? null;
const edgesOf = (lines: PdfLine[]): Edges => ({ top: plain(lines[0]), bottom: plain(lines.at(-1)) });

/** Without a running header or footer: a line that one of the last two pages had at the same edge, as left and right pages differ. */
function withoutRunning(lines: PdfLine[], before: Edges[]): PdfLine[] {
  const { top, bottom } = edgesOf(lines);
  const from = lines.length > 1 && before.some((edges) => edges.top === top) ? 1 : 0;
  const to = lines.length - from > 1 && before.some((edges) => edges.bottom === bottom)
    ? lines.length - 1
    : lines.length;
  return lines.slice(from, to);
}

interface OutlineItem {
  title: string;
  dest: string | unknown[] | null;
  items: OutlineItem[];
}

/** Entries of an outline that are looked up: more name every paragraph. */
const MOST_SECTIONS = 2000;

/** The first section that begins on a page, by page, as the document's outline has it. */
async function sectionsOf(document: Pdf): Promise<Map<number, string>> {
  const sections = new Map<number, string>();
  let looked = 0;
  const add = async (items: OutlineItem[]): Promise<void> => {
    for (const { title, dest, items: inner } of items) {
      if (++looked > MOST_SECTIONS) return;
      const place = typeof dest === "string" ? await document.getDestination(dest) : dest;
      if (Array.isArray(place) && place[0]) {
        const page = await document.getPageIndex(place[0] as never) + 1;
        const heading = title.replace(/\s+/g, " ").trim().slice(0, 200);
        if (heading && !sections.has(page)) sections.set(page, heading);
      }
      await add(inner);
    }
  };
  // an outline is a help, and one that is damaged no reason to stop
  await document.getOutline().then((outline) => add(outline as OutlineItem[] ?? [])).catch(() => {});
  return sections;
}
