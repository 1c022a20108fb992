/** Formats whose blocks are scale × integer: their integers move into MatMulNBits' layout and no value changes. */
import { HALF } from "../dequantise/half.ts";
import { fifthBits } from "../dequantise/legacy.ts";
import type { ScaledType } from "../dequantise/scaled.ts";

/** Q4_0 keeps its 4 bits (zero point 8): the nibbles of values j and j + 16 become consecutive pairs. */
export function exactQ4_0(bytes: Uint8Array, blocks: number, data: Uint8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 18, o += 16) {
    scales[b] = HALF[bytes[i] | (bytes[i + 1] << 8)];
    for (let j = 0; j < 8; j++) {
      const even = bytes[i + 2 + 2 * j], odd = bytes[i + 3 + 2 * j];
      data[o + j] = (even & 15) | ((odd & 15) << 4);
      data[o + j + 8] = (even >> 4) | (odd & 240);
    }
  }
}

/** Q5_0 in 8 bits, zero point 128. */
export function exactQ5_0(bytes: Uint8Array, blocks: number, data: Uint8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 22, o += 32) {
    scales[b] = HALF[bytes[i] | (bytes[i + 1] << 8)];
    const high = fifthBits(bytes, i + 2);
    for (let j = 0; j < 16; j++) {
      const pair = bytes[i + 6 + j];
      data[o + j] = ((pair & 15) | (((high >>> j) & 1) << 4)) + 112;
      data[o + j + 16] = ((pair >> 4) | (((high >>> (j + 16)) & 1) << 4)) + 112;
    }
  }
}

/** Q8_0 in 8 bits, zero point 128. */
export function exactQ8_0(bytes: Uint8Array, blocks: number, data: Uint8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 34, o += 32) {
    scales[b] = HALF[bytes[i] | (bytes[i + 1] << 8)];
    for (let j = 0; j < 32; j++) data[o + j] = bytes[i + 2 + j] ^ 128;
  }
}

/** Q6_K in 8 bits, zero point 128, one block per sub-block of 16; `blocks` counts super-blocks of 256. */
export function exactQ6_K(bytes: Uint8Array, blocks: number, data: Uint8Array, scales: Float32Array): void {
  for (let b = 0, i = 0, o = 0; b < blocks; b++, i += 210, o += 256) {
    const d = HALF[bytes[i + 208] | (bytes[i + 209] << 8)];
    for (let s = 0; s < 16; s++) scales[b * 16 + s] = d * ((bytes[i + 192 + s] << 24) >> 24);
    for (let half = 0; half < 2; half++) {
      const low = i + half * 64, high = i + 128 + half * 32, to = o + half * 128;
      for (let n = 0; n < 32; n++) {
        const a = bytes[low + n], c = bytes[low + n + 32], h = bytes[high + n];
        data[to + n] = ((a & 15) | ((h & 3) << 4)) + 96;
        data[to + n + 32] = ((c & 15) | ((h & 12) << 2)) + 96;
        data[to + n + 64] = ((a >> 4) | (h & 48)) + 96;
        data[to + n + 96] = ((c >> 4) | ((h & 192) >> 2)) + 96;
      }
    }
  }
}

/** Blocks that are taken apart at a time: what is held of them besides. */
const AT_ONCE = 1024;

/** Integers and scales of a type as they are: in 8 bits, zero point 128, or in 4 bits, zero point 8. */
export function exactScaled({ bits, scaleElements, takeApart }: ScaledType, blockElements: number, blockBytes: number) {
  return (bytes: Uint8Array, blocks: number, data: Uint8Array, scales: Float32Array): void => {
    const integers = new Int8Array(Math.min(blocks, AT_ONCE) * blockElements), perBlock = blockElements / scaleElements;
    for (let first = 0; first < blocks; first += AT_ONCE) {
      const count = Math.min(AT_ONCE, blocks - first), values = count * blockElements;
      const part = bytes.subarray(first * blockBytes, (first + count) * blockBytes);
      takeApart(part, count, integers, scales.subarray(first * perBlock, (first + count) * perBlock));
      const to = first * blockElements * bits / 8;
      if (bits === 8) { for (let n = 0; n < values; n++) data[to + n] = integers[n]! + 128; }
      else {
        for (let n = 0; n < values; n += 2) data[to + n / 2] = (integers[n]! + 8) | ((integers[n + 1]! + 8) << 4);
      }
    }
  };
}
