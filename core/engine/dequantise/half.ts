/** IEEE binary16 bit patterns as numbers, [65536]: `HALF[bits]`. Denormals, infinities and NaN included. */
export const HALF: Float32Array = makeTable();

function makeTable(): Float32Array {
  const table = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >> 10) & 31;
    const fraction = bits & 1023;
    const magnitude = exponent === 0
      ? fraction * 2 ** -24
      : exponent === 31
      ? (fraction === 0 ? Infinity : NaN)
      : (1024 + fraction) * 2 ** (exponent - 25);
    table[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return table;
}
