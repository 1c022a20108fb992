/** Which scores are the highest, without sorting them. */

const BITS = 11, BUCKETS = 1 << BITS;
const histogram = new Int32Array(BUCKETS);

/**
 * Ascending indices of the `count` highest scores, ties to the earlier index; NaN ranks below everything. Radix selection, three digits of 11 bits:
 * linear in the slots, which sorting is not.
 * @param first 1 for slots that rank above every score, infinity too
 */
export function highest(scores: Float32Array, count: number, first?: Uint8Array): Int32Array {
  const n = scores.length;
  if (count >= n) return Int32Array.from({ length: n }, (_, i) => i);
  const ranks = sortable(scores);
  if (first) { for (let i = 0; i < n; i++) if (first[i]) ranks[i] = 0xffffffff; }
  let prefix = 0, wanted = count;
  for (const shift of [21, 10, 0]) {
    const bits = shift === 0 ? 10 : BITS, buckets = 1 << bits;
    histogram.fill(0, 0, buckets);
    for (let i = 0; i < n; i++) {
      const rank = ranks[i]!;
      if (shift === 21 || (rank >>> (shift + bits)) === prefix) histogram[(rank >>> shift) & (buckets - 1)]!++;
    }
    let bucket = buckets - 1;
    while (histogram[bucket]! < wanted) wanted -= histogram[bucket--]!;
    prefix = shift === 21 ? bucket : ((prefix << bits) | bucket) >>> 0;
  }
  // `prefix` is now the lowest rank that stays, and `wanted` of its holders do
  const keep = new Int32Array(count);
  for (let i = 0, at = 0; i < n; i++) {
    const rank = ranks[i]!;
    if (rank > prefix || (rank === prefix && wanted-- > 0)) keep[at++] = i;
  }
  return keep;
}

/** Unsigned integers in the order of the floats. */
function sortable(scores: Float32Array): Uint32Array {
  const bits = new Uint32Array(scores.length);
  new Float32Array(bits.buffer).set(scores);
  for (let i = 0; i < bits.length; i++) {
    const value = bits[i]!;
    if (scores[i] !== scores[i]) bits[i] = 0;
    else if (scores[i] === 0) bits[i] = 0x80000000; // -0 equals 0
    else bits[i] = value & 0x80000000 ? ~value : value | 0x80000000;
  }
  return bits;
}
