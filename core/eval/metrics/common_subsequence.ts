/** Length of the longest common subsequence, in two rows of memory. */
export function commonSubsequence<T>(a: ArrayLike<T>, b: ArrayLike<T>): number {
  let above = new Uint32Array(b.length + 1), row = new Uint32Array(b.length + 1);
  for (let i = 0; i < a.length; i++) {
    for (let j = 0; j < b.length; j++) {
      row[j + 1] = a[i] === b[j] ? above[j]! + 1 : Math.max(above[j + 1]!, row[j]!);
    }
    [above, row] = [row, above];
  }
  return above[b.length]!;
}
