/**
 * Notes for a summary: while a document flows by, the model writes a sentence or two about each stretch of it as long as the stretch is fresh in
 * memory. A model asked at the end only speaks of one or two passages; asked along the way it names them all (CHANGELOG has the comparison).
 *
 * Nothing is known of the document's length beforehand, and nothing may grow with it: when twice the wanted notes are there, every second one goes and
 * the stretches become twice as long. So there are between N and 2 N notes, evenly spread, whatever the length.
 */

export interface Note {
  /** Tokens of the prompt about which it was written: [from, to). */
  from: number;
  to: number;
  text: string;
}

export class Notes {
  private list: Note[] = [];
  private from = 0;

  /**
   * @param wanted N, at least 1
   * @param stretch tokens of a stretch to begin with
   */
  constructor(private readonly wanted: number, private stretch: number) {}

  /** First token of the stretch that is being read. */
  get stretchStart(): number {
    return this.from;
  }

  /** Whether a stretch ends at `tokensRead`. The document's end closes a stretch that is at least half full, or the only one. */
  due(tokensRead: number, atEnd: boolean): boolean {
    const length = tokensRead - this.from;
    return length >= this.stretch || (atEnd && (length >= this.stretch / 2 || this.list.length === 0));
  }

  add(to: number, text: string): void {
    this.list.push({ from: this.from, to, text });
    this.from = to;
    if (this.list.length < 2 * this.wanted) return;
    this.list = this.list.filter((_, i) => i % 2 === 1);
    this.stretch *= 2;
  }

  /** Notes in the document's order, without those that say what an earlier one said. */
  distinct(): Note[] {
    const seen = new Set<string>();
    return this.list.filter(({ text }) => {
      const key = text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, " ").trim();
      if (key === "" || seen.has(key)) return false;
      seen.add(key);
      return true;
    });
  }
}

/** What is worth keeping of a note as the model wrote it: whole sentences or lines, each once, on one line. */
export function tidy(text: string): string {
  const pieces = text.trim().split(/(?<=[.!?])\s+|\n+/).map((piece) => piece.trim()).filter(Boolean);
  const seen = new Set<string>(), kept: string[] = [];
  pieces.forEach((piece, i) => {
    const unfinished = i === pieces.length - 1 && !/[.!?"”)]$/.test(piece);
    const key = piece.toLowerCase().replace(/^([-*•]|\d+[.)])\s*/, "");
    if (seen.has(key) || /^([-*•]|\d+[.)])$/.test(piece) || (unfinished && kept.length > 0)) return;
    seen.add(key);
    kept.push(piece);
  });
  const whole = kept.join(" ");
  const sentence = whole.charAt(0).toUpperCase() + whole.slice(1);
  return sentence === "" || /[.!?"”)…]$/.test(sentence) ? sentence : `${sentence.replace(/[\s,;:–-]+$/, "")} …`;
}
