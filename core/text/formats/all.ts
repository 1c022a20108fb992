/** Every format, and what tells that a document has it. Libraries are loaded when such a document comes. */
import { zipKind } from "./archive.ts";
import type { Format } from "./format.ts";
import { looksLikeHtml } from "./html_kind.ts";
import { looksLikeMail } from "./mail_kind.ts";
import { readPlain } from "./plain.ts";

/** What a document is, and its bytes. */
export interface Found {
  /** As records name it. */
  type: string;
  convert: Format;
  bytes: AsyncIterable<Uint8Array>;
}

/** @param pieces whose first one has the beginning */
export async function formatOf(pieces: AsyncIterable<Uint8Array>, name: string): Promise<Found> {
  const iterator = pieces[Symbol.asyncIterator](), first = await iterator.next();
  const head = first.done ? new Uint8Array(0) : first.value;
  const bytes = (async function* () {
    try {
      if (!first.done) yield first.value;
      for (let next = await iterator.next(); !next.done; next = await iterator.next()) yield next.value;
    } finally {
      await iterator.return?.(undefined);
    }
  })();
  return { ...await kindOf(head, name), bytes };
}

async function kindOf(head: Uint8Array, name: string): Promise<Omit<Found, "bytes">> {
  const begins = (text: string, at = 0) => [...text].every((character, i) => head[at + i] === character.charCodeAt(0));
  // some programs write a line before it
  for (let at = 0; at < Math.min(head.length, 1024); at++) {
    if (head[at] === 0x25 && begins("%PDF-", at) && (at === 0 || head[at - 1] === 0x0a || head[at - 1] === 0x0d)) {
      return { type: "pdf", convert: (await import("./pdf.ts")).readPdf };
    }
  }
  if (begins("PK\x03\x04")) {
    const kind = zipKind(head, name);
    if (kind === "docx") return { type: kind, convert: (await import("./docx.ts")).readDocx };
    if (kind === "pptx") return { type: kind, convert: (await import("./pptx.ts")).readPptx };
    if (kind === "odt" || kind === "odp") return { type: kind, convert: (await import("./odt.ts")).readOdt };
    if (kind === "epub") return { type: kind, convert: (await import("./epub.ts")).readEpub };
  }
  if (looksLikeHtml(head)) return { type: "html", convert: (await import("./html.ts")).readHtml };
  if (looksLikeMail(head)) return { type: "mail", convert: (await import("./mail.ts")).readMail };
  return { type: isMarkdown(name) ? "markdown" : "text", convert: readPlain };
}

/** Whether a file name says Markdown (`.md`, `.markdown`). */
export function isMarkdown(name: string): boolean {
  return /\.(md|markdown)(\.gz)?$/i.test(name);
}
