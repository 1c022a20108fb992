/** What tells that bytes are HTML, and in which encoding. */

const latin1 = (head: Uint8Array) => String.fromCharCode(...head.subarray(0, 2048));

/** Whether a document begins as HTML does: behind comments, a declaration or white space. */
export function looksLikeHtml(head: Uint8Array): boolean {
  const text = latin1(head).replace(/^\xef\xbb\xbf/, "");
  const begin = text.replace(/^(?:\s+|<!--[\s\S]*?-->|<\?xml[^>]*>)+/, "");
  return /^<(?:!doctype\s+html|html[\s>]|head[\s>]|body[\s>])/i.test(begin);
}

/** As the document itself says, else UTF-8. */
export function htmlEncoding(head: Uint8Array): string {
  if (head[0] === 0xff && head[1] === 0xfe) return "utf-16le";
  if (head[0] === 0xfe && head[1] === 0xff) return "utf-16be";
  const said = /<meta[^>]*charset\s*=\s*["']?\s*([\w-]+)|^<\?xml[^>]*encoding\s*=\s*["']([\w-]+)/i.exec(latin1(head));
  const label = said?.[1] ?? said?.[2] ?? "utf-8";
  try {
    return new TextDecoder(label).encoding;
  } catch {
    return "utf-8";
  }
}
