/**
 * How a document that does not fit becomes an answer.
 *
 * - `stream`: read once, through a memory of fixed size, and answered from that.
 * - `stream+verify`: the same, then looked up in the documents with question and answer, and answered again with the passages that were found.
 * - `map-reduce`: cut into parts that fit; each is answered on its own with nothing evicted, then the answers together. What everybody does; a baseline.
 */
export const strategies = ["stream", "stream+verify", "map-reduce"] as const;
export type Strategy = typeof strategies[number];
