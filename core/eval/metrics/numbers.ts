/** LongBench's counting metrics: of all numbers that the answer gives, the share that is the right one. */

function share(answer: string, wanted: string): number {
  const numbers = answer.match(/\d+/g) ?? [];
  return numbers.length === 0 ? 0 : numbers.filter((number) => number === wanted).length / numbers.length;
}

/** passage_count: the reference is a number. */
export const count = (answer: string, reference: string): number => share(answer, reference.trim());

/** passage_retrieval: the reference is "Paragraph 7". A reference without such a number is never met. */
export function retrieval(answer: string, reference: string): number {
  const wanted = /Paragraph (\d+)/.exec(reference)?.[1];
  return wanted === undefined ? 0 : share(answer, wanted);
}
