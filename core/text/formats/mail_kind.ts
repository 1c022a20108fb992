/** What tells that bytes are a mail. */

/** Whether a document begins with a mail's head: several of its fields, one to a line, before an empty one. */
export function looksLikeMail(head: Uint8Array): boolean {
  const text = String.fromCharCode(...head.subarray(0, 8192)), fields = text.split(/\r?\n\r?\n/, 1)[0]!.split(/\r?\n/);
  const known = /^(Return-Path|Received|Delivered-To|From|To|Subject|Date|Message-ID|MIME-Version|Content-Type):/i;
  if (!/^[!-9;-~]+:/.test(fields[0]!)) return false;
  const ours = new Set(fields.flatMap((field) => known.exec(field)?.[1]?.toLowerCase() ?? []));
  return ours.has("from") && (ours.has("message-id") || ours.has("mime-version") || ours.has("received")) &&
    fields.slice(0, -1).every((field) => /^([!-9;-~]+:|[ \t])/.test(field));
}
