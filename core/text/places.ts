/** Where in its documents a token of the prompt stands: which source, page and section. */

/** As far as it is known. */
export interface Place {
  source: string;
  page?: number;
  section?: string;
}

/** From a token of the prompt on. */
interface Mark extends Place {
  from: number;
}

export class Places {
  constructor(private readonly marks: Mark[] = []) {}

  /** What is read from this token on; what a mark does not say goes on, but for another source. @param from beyond all marks */
  mark(from: number, place: Partial<Place>): void {
    const last = this.marks.at(-1);
    const before = last && (place.source === undefined || place.source === last.source) ? last : null;
    const mark = { ...before, ...place, from } as Mark;
    if (last?.from === from) this.marks[this.marks.length - 1] = mark;
    else this.marks.push(mark);
  }

  /** Where a token stands; null before the first mark. */
  at(token: number): Place | null {
    let low = 0, high = this.marks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.marks[middle]!.from <= token) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return null;
    const { from: _, ...place } = this.marks[low - 1]!;
    return place;
  }

  /** Forgets what lies behind the token. */
  cut(token: number): void {
    while (this.marks.length > 0 && this.marks.at(-1)!.from >= token) this.marks.pop();
  }

  toJSON(): readonly Mark[] {
    return this.marks;
  }
}
