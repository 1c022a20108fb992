/** Text of strangers, made harmless where it is shown. */

/**
 * Without the characters that a terminal would obey: a document or a model must not move the cursor, change the title or the clipboard. Kept are
 * newline and tab; a stray carriage return goes too.
 */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, "");
}
