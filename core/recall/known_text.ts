/**
 * The text around what is still in memory: token ids of every place of which some head has a slot, and of the places around it. A slot without its
 * neighbours is half a word; its neighbours' ids cost four bytes each, where a slot costs thousands. What no slot stands near is forgotten, so this is
 * bounded by the slots and not by the document: at most `heads · slots · (2 · margin + 1)` ids, in practice far fewer, as heads agree.
 */
import type { KvCache } from "../cache.ts";
import type { DocumentText, Passage } from "../policy.ts";

/** Places on both sides of a slot that stay known: more than half of what two kept slots of one passage commonly lie apart. */
export const NEIGHBOURS = 12;

export class KnownText implements DocumentText {
  /** Indices in the prompt, ascending. */
  sources: Int32Array<ArrayBuffer> = new Int32Array(1024);
  /** Token id at each of them. */
  tokens: Int32Array<ArrayBuffer> = new Int32Array(1024);
  length = 0;
  /** A bit for every token read, set while `forget` looks through the slots. */
  private marks: Uint32Array<ArrayBuffer> = new Uint32Array(1024);

  /** @param margin places on both sides of a slot that stay known */
  constructor(readonly margin = NEIGHBOURS) {}

  /** @param firstSource index in the prompt of the first of them, beyond all that is known */
  append(tokens: ArrayLike<number>, firstSource: number): void {
    const needed = this.length + tokens.length;
    if (needed > this.sources.length) {
      this.sources = grown(this.sources, needed);
      this.tokens = grown(this.tokens, needed);
    }
    for (let i = 0; i < tokens.length; i++, this.length++) {
      this.sources[this.length] = firstSource + i;
      this.tokens[this.length] = tokens[i]!;
    }
  }

  /** Room for so many places and tokens that are put there next. */
  restore(length: number): void {
    this.sources = grown(this.sources, length);
    this.tokens = grown(this.tokens, length);
    this.length = length;
  }

  /** Forgets what is farther than `margin` from every slot. @param end index in the prompt after the last token read */
  forget(cache: Pick<KvCache, "heads" | "sources">, end: number): void {
    const { sources, tokens, margin, length } = this;
    if (end > 32 * this.marks.length) this.marks = new Uint32Array(end >>> 4); // bits for twice as many
    const { marks } = this, stays = new Uint8Array(length);
    const hasSlot = (source: number) => (marks[source >>> 5]! >>> (source & 31)) & 1;
    for (let head = 0; head < cache.heads; head++) {
      for (const source of cache.sources(head)) if (source >= 0) marks[source >>> 5]! |= 1 << (source & 31);
    }
    for (let i = 0, last = -Infinity; i < length; i++) {
      if (hasSlot(sources[i]!)) last = sources[i]!;
      if (sources[i]! - last <= margin) stays[i] = 1;
    }
    let to = length;
    for (let i = length - 1, next = Infinity; i >= 0; i--) {
      const source = sources[i]!;
      if (hasSlot(source)) next = source;
      marks[source >>> 5]! &= ~(1 << (source & 31)); // every slot's token is known, so none is left behind
      if (!stays[i] && next - source > margin) continue;
      to--;
      // to ≥ i: moves towards the end, over what was looked at already
      sources[to] = source;
      tokens[to] = tokens[i]!;
    }
    sources.copyWithin(0, to, length);
    tokens.copyWithin(0, to, length);
    this.length -= to;
  }

  between(from: number, to: number): Passage["pieces"] {
    const pieces: Passage["pieces"] = [];
    for (let i = this.firstFrom(from); i < this.length && this.sources[i]! <= to; i++) {
      const source = this.sources[i]!, last = pieces.at(-1);
      if (last && last.from + last.tokens.length === source) last.tokens.push(this.tokens[i]!);
      else pieces.push({ from: source, tokens: [this.tokens[i]!] });
    }
    return pieces;
  }

  /** Index of the first known place from `source` on. */
  private firstFrom(source: number): number {
    let low = 0, high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.sources[middle]! < source) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function grown(rows: Int32Array<ArrayBuffer>, needed: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(Math.max(needed, 2 * rows.length));
  larger.set(rows);
  return larger;
}
