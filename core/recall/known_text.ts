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

  /** Forgets what is farther than `margin` from every slot. @param end index in the prompt after the last token read */
  forget(cache: KvCache, end: number): void {
    const { sources, tokens, margin } = this, hasSlot = new Uint8Array(end), stays = new Uint8Array(this.length);
    for (let head = 0; head < cache.heads; head++) for (const source of cache.sources(head)) hasSlot[source] = 1;
    for (let i = 0, last = -Infinity; i < this.length; i++) {
      if (hasSlot[sources[i]!]) last = sources[i]!;
      if (sources[i]! - last <= margin) stays[i] = 1;
    }
    let to = this.length;
    for (let i = this.length - 1, next = Infinity; i >= 0; i--) {
      if (hasSlot[sources[i]!]) next = sources[i]!;
      if (!stays[i] && next - sources[i]! > margin) continue;
      to--;
      // to ≥ i: moves towards the end, over what was looked at already
      sources[to] = sources[i]!;
      tokens[to] = tokens[i]!;
    }
    sources.copyWithin(0, to, this.length);
    tokens.copyWithin(0, to, this.length);
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
