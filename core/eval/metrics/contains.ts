/** RULER's metrics: a reference counts when the answer contains it, whatever the case. */

const contains = (answer: string, reference: string) => answer.toLowerCase().includes(reference.toLowerCase());

/** Share of the references that the answer contains ("string match all": niah, vt, cwe, fwe). */
export function containsAll(answer: string, references: readonly string[]): number {
  return references.filter((reference) => contains(answer, reference)).length / references.length;
}

/** 1 where the answer contains any of the references ("string match part": qa). */
export function containsAny(answer: string, references: readonly string[]): number {
  return references.some((reference) => contains(answer, reference)) ? 1 : 0;
}
