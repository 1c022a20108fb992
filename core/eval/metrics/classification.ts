/** LongBench's classification (trec): of all classes that the answer names, the share that the right one has; naming many is no way to win. */
export function classification(answer: string, reference: string, classes: readonly string[]): number {
  const named = classes.filter((name) => answer.includes(name))
    // a class whose name is a part of the right one's is named with it
    .filter((name) => name === reference || !reference.includes(name));
  return named.includes(reference) ? 1 / named.length : 0;
}
