/** What tells that bytes are HTML, and in which encoding. */
import { utf16Of } from "./head.ts";

const latin1 = (head: Uint8Array) => String.fromCharCode(...head.subarray(0, 2048));

/** Whether a document begins as HTML does: behind comments, a declaration or white space. */
export function looksLikeHtml(head: Uint8Array): boolean {
  const text = latin1(head).replace(/^\xef\xbb\xbf/, "");
  const begin = text.replace(/^(?:\s+|<!--[\s\S]*?-->|<\?xml[^>]*>)+/, "");
  return /^<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])/i.test(begin);
}

/** As the document itself says, else UTF-8. */
export function htmlEncoding(head: Uint8Array): string {
  const marked = utf16Of(head);
  if (marked) return marked;
  const said = /<meta[^>]*charset\s*=\s*["']?\s*([\w-]+)|^<\?xml[^>]*encoding\s*=\s*["']([\w-]+)/i.exec(latin1(head));
  const label = said?.[1] ?? said?.[2] ?? "utf-8";
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return "utf-8";
  }
}
