/**
 * Key and value rows of the layers that see the newest tokens only. They forget by themselves, so no budget bounds them and no policy chooses among them:
 * each layer holds what its window lets the next token see, and no more.
 *
 * Positions of these layers go on as tokens come, whatever becomes of the other layers' positions: only distances count, and no two rows are further
 * apart than the window. No key is ever turned a second time.
 */

/** Layers, and the tokens that a token sees, itself included. */
export interface SlidingShape {
  layers: number;
  window: number;
}

/** Rows of a head beyond those that it must hold: with a little room, they move once in so many tokens. */
const ROOM = 64;

const rowsOfHead = (window: number) => window - 1 + ROOM;

/** Bytes of the rows of all sliding layers. */
export function slidingBytes(sliding: SlidingShape | undefined, kvHeads: number, headDim: number): number {
  return sliding ? sliding.layers * kvHeads * rowsOfHead(sliding.window) * headDim * 2 * 4 : 0;
}

export class SlidingRows {
  readonly heads: number;
  /** Rows of every head. */
  live = 0;
  /** What a token's position is here beyond its position in the other layers. */
  shift = 0;
  private readonly keys: Float32Array;
  private readonly values: Float32Array;
  private readonly room: number;
  /** First row of every head's run. */
  private start = 0;
  /** Tokens that were appended so far. */
  private tokens = 0;

  constructor(private readonly shape: SlidingShape, kvHeads: number, private readonly headDim: number) {
    this.heads = shape.layers * kvHeads;
    this.room = rowsOfHead(shape.window);
    this.keys = new Float32Array(this.heads * this.room * headDim);
    this.values = new Float32Array(this.heads * this.room * headDim);
  }

  /** What is known beside the rows. */
  get facts(): { live: number; shift: number; tokens: number } {
    return { live: this.live, shift: this.shift, tokens: this.tokens };
  }

  /** Most rows that a head can have. */
  get most(): number {
    return this.shape.window - 1;
  }

  /** Room for rows that are put there next. */
  restore({ live, shift, tokens }: { live: number; shift: number; tokens: number }): void {
    Object.assign(this, { live, shift, tokens, start: 0 });
  }

  /** A head's rows, a view: [live, headDim]. */
  keyRows(head: number): Float32Array {
    return this.rows(this.keys, head);
  }

  valueRows(head: number): Float32Array {
    return this.rows(this.values, head);
  }

  private rows(pool: Float32Array, head: number): Float32Array {
    const from = (head * this.room + this.start) * this.headDim;
    return pool.subarray(from, from + this.live * this.headDim);
  }

  /** Appends the first `count` rows of every head [rows, headDim] and forgets what no later token will see. */
  append(keys: Float32Array[], values: Float32Array[], count: number): void {
    const { headDim, heads, room } = this, most = this.shape.window - 1;
    const fresh = Math.min(count, most), old = Math.min(this.live, most - fresh), from = this.start + this.live - old;
    const to = from + old + fresh > room ? 0 : from;
    const put = (pool: Float32Array, head: number, rows: Float32Array) => {
      const run = head * room;
      if (to !== from) pool.copyWithin((run + to) * headDim, (run + from) * headDim, (run + from + old) * headDim);
      pool.set(rows.subarray((count - fresh) * headDim, count * headDim), (run + to + old) * headDim);
    };
    for (let head = 0; head < heads; head++) {
      put(this.keys, head, keys[head]!);
      put(this.values, head, values[head]!);
    }
    this.start = to;
    this.live = old + fresh;
    this.tokens += count;
  }

  /** The other layers' positions were moved: the next token's is `delta` lower there, and here as it was. */
  movedBy(delta: number): void {
    this.shift += delta;
  }

  /**
   * Lets `work` see only rows of tokens from `firstToken` on, and puts everything back afterwards; rows that were appended meanwhile are forgotten. Room
   * for a copy of the rows is taken for the while.
   */
  async narrowed<T>(firstToken: number, work: () => Promise<T>): Promise<T> {
    const { live, tokens, shift } = this, heads = Array.from({ length: this.heads }, (_, head) => head);
    const keys = heads.map((head) => this.keyRows(head).slice());
    const values = heads.map((head) => this.valueRows(head).slice());
    const seen = Math.max(0, Math.min(live, tokens - firstToken));
    this.start += live - seen;
    this.live = seen;
    try {
      return await work();
    } finally {
      this.start = this.live = 0;
      this.append(keys, values, live);
      Object.assign(this, { tokens, shift });
    }
  }
}
