/** Live slots of heads, for the cases of kernels that work on arrays [all heads, stride]. */

export interface Runs {
  name: string;
  stride: number;
  start: Uint32Array<ArrayBuffer>;
  end: Uint32Array<ArrayBuffer>;
}

/** Two layers of two heads wherever there are four. */
export function runs(): Runs[] {
  const cases: [name: string, stride: number, heads: [start: number, end: number][]][] = [
    ["one slot", 1, [[0, 1]]],
    ["no slot", 9, [[0, 0], [4, 4]]],
    ["one slot each, somewhere", 7, [[6, 7], [0, 1], [3, 4], [0, 0]]],
    ["full capacity", 517, [[0, 517], [0, 517]]],
    ["ragged, from anywhere", 1003, [[0, 700], [17, 1003], [512, 519], [3, 260]]],
    ["all equal", 301, [[0, 301], [5, 300], [1, 2], [0, 256]]],
  ];
  return cases.map(([name, stride, heads]) => ({
    name,
    stride,
    start: Uint32Array.from(heads, ([start]) => start),
    end: Uint32Array.from(heads, ([, end]) => end),
  }));
}
