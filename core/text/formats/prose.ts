/**
 * Text of marked-up documents, as a reader sees it: paragraphs apart, white space as one space, headings and lists in Markdown's signs. What is complete is
 * taken piece by piece.
 */
import type { TextPiece } from "./format.ts";

export class Prose {
  private readonly pieces: TextPiece[] = [];
  private current: TextPiece = { text: "" };
  /** Line breaks that come before the next word. */
  private breaks = 0;
  private space = false;
  private begun = false;
  private signed = false;

  /** Words of a paragraph: white space counts as one space. */
  words(text: string): void {
    for (const part of text.split(/([ \t\r\n\f\v]+)/)) {
      if (part === "") continue;
      if (/^[ \t\r\n\f\v]/.test(part)) this.space ||= !this.signed;
      else this.put(part);
    }
  }

  /** Text whose white space counts. */
  verbatim(text: string): void {
    this.put(text);
  }

  /** Signs that belong to what follows: a list's dash. */
  sign(text: string): void {
    this.put(text);
    this.signed = true;
  }

  /** Nothing came behind a sign. */
  endSign(): void {
    this.signed = false;
  }

  /** What follows stands on a line of its own, or behind an empty one. */
  break(lines: 1 | 2): void {
    // a list's item may begin with a paragraph
    if (this.signed) return;
    this.breaks = Math.max(this.breaks, lines);
    this.space = false;
  }

  /** What follows belongs to another page or section. */
  mark(place: Omit<TextPiece, "text">): void {
    this.flush();
    Object.assign(this.current, place);
  }

  /** Says of what began with the last mark which place it is. */
  place(place: Omit<TextPiece, "text">): void {
    Object.assign(this.current, place);
  }

  /** What is complete by now. */
  *take(): Generator<TextPiece> {
    if (this.current.text.length > 4096) this.flush();
    while (this.pieces.length > 0) yield this.pieces.shift()!;
  }

  *end(): Generator<TextPiece> {
    this.flush();
    yield* this.take();
    if (this.begun) yield { text: "\n" };
  }

  private put(text: string): void {
    const before = !this.begun ? "" : this.breaks > 0 ? "\n".repeat(this.breaks) : this.space ? " " : "";
    this.current.text += before + text;
    [this.breaks, this.space, this.begun, this.signed] = [0, false, true, false];
  }

  private flush(): void {
    const { text, ...place } = this.current;
    if (text === "" && Object.keys(place).length > 0) return; // a place of what follows
    if (text !== "") this.pieces.push(this.current);
    this.current = { text: "" };
  }
}
