/** A GGUF file once more with every tensor in f32, bit-equal to what its own types mean: in it llama.cpp rounds no activations to 8 bits. */
import { open } from "node:fs/promises";
import { dequantise } from "../../core/engine/dequantise.ts";
import { readHeader } from "../../core/engine/gguf/header.ts";
import type { FileSystem, RandomAccessFile } from "../../core/files.ts";

const ALIGNMENT = 32, AT_ONCE = 1 << 22;

export async function writeDequantised(files: FileSystem, from: string, to: string): Promise<void> {
  const source = await files.open(from), target = await open(to, "w");
  try {
    const { tensors } = await readHeader(source, () => {}), infos: Uint8Array[] = [];
    let offset = 0;
    for (const [name, { shape }] of tensors) {
      infos.push(tensorInfo(name, shape, offset));
      offset += ALIGNMENT * Math.ceil(4 * shape.reduce((a, b) => a * b, 1) / ALIGNMENT);
    }
    const head = Buffer.concat([await metadataOf(source, tensors), ...infos]);
    let at = ALIGNMENT * Math.ceil(head.length / ALIGNMENT);
    await target.write(head, 0, head.length, 0);
    for (const { type, shape, offset, byteLength } of tensors.values()) {
      const [rows = 1, ...rest] = shape, columns = rest.reduce((a, b) => a * b, 1), rowBytes = byteLength / rows;
      const some = shape.length > 1 ? Math.max(1, Math.floor(AT_ONCE / columns)) : rows;
      for (let row = 0; row < rows; row += some) {
        const count = Math.min(some, rows - row);
        const values = dequantise(type, await source.read(offset + row * rowBytes, count * rowBytes));
        await target.write(
          new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
          0,
          values.byteLength,
          at,
        );
        at += values.byteLength;
      }
      at = ALIGNMENT * Math.ceil(at / ALIGNMENT);
    }
    await target.truncate(at);
  } finally {
    await source.close();
    await target.close();
  }
}

/** The file's beginning up to its first tensor info, as it stands. */
async function metadataOf(source: RandomAccessFile, tensors: Map<string, { shape: number[]; offset: number }>) {
  const [name] = tensors.keys(), firstData = Math.min(...[...tensors.values()].map(({ offset }) => offset));
  const bytes = Buffer.from(await source.read(0, firstData)), length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(name!)));
  const end = bytes.lastIndexOf(Buffer.concat([length, Buffer.from(name!)]));
  if (end < 0) throw new Error(`No tensor info of ${name}`);
  return bytes.subarray(0, end);
}

function tensorInfo(name: string, shape: number[], offset: number): Uint8Array {
  const text = Buffer.from(name), out = Buffer.alloc(8 + text.length + 4 + 8 * shape.length + 4 + 8);
  let at = out.writeBigUInt64LE(BigInt(text.length), 0);
  at += text.copy(out, at);
  at = out.writeUInt32LE(shape.length, at);
  for (const size of shape.toReversed()) at = out.writeBigUInt64LE(BigInt(size), at);
  at = out.writeUInt32LE(0, at); // F32
  out.writeBigUInt64LE(BigInt(offset), at);
  return out;
}
