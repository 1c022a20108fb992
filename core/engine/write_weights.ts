/**
 * Writes the weights file that ONNX Runtime maps. Tensors are read and converted some rows at a time: what is held does not grow with them, and no buffer
 * comes near the 2 GB at which files and buffers end in places.
 */
import type { FileSystem } from "../files.ts";
import { blockForm, toBlocks } from "./blocks.ts";
import { dequantise } from "./dequantise.ts";
import { requireFinite } from "./finite.ts";
import type { BlockEntry, FloatEntry, Range, WeightIndex } from "./linear.ts";
import type { WeightFormat } from "./execution_forms.ts";
import { infoOf, joinable, type WeightGroups } from "./weight_groups.ts";
import type { ModelFile, WeightTensor } from "./weights.ts";

/** External data is mapped into memory, which asks for page alignment. */
const ALIGNMENT = 4096;
/** Numbers that are converted at a time. */
const AT_ONCE = 1 << 22;

/** @throws {ModelError} for a damaged file */
export async function writeWeights(
  files: FileSystem,
  path: string,
  model: ModelFile,
  format: WeightFormat,
  { vectors, matrices }: WeightGroups,
): Promise<WeightIndex["entries"]> {
  const entries: WeightIndex["entries"] = {};
  await files.writeAtomically(path, async (write) => {
    const out = new Ranges(write);
    for (const group of vectors) entries[group.join("+")] = await writeFloats(out, model, group);
    for (const group of matrices) {
      if (format === "f32") entries[group.join("+")] = await writeFloats(out, model, group);
      else for (const part of joinable(model, group)) entries[part.join("+")] = await writeBlocks(out, model, part);
    }
  });
  return entries;
}

/** Byte ranges of one file, one behind the other, each from a page's beginning on. */
class Ranges {
  private end = 0;

  constructor(private readonly write: (bytes: Uint8Array) => Promise<void>) {}

  async add(pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<Range> {
    const gap = (ALIGNMENT - this.end % ALIGNMENT) % ALIGNMENT, offset = this.end + gap;
    if (gap > 0) await this.write(new Uint8Array(gap));
    let length = 0;
    for await (const piece of pieces) {
      await this.write(piece);
      length += piece.length;
    }
    this.end = offset + length;
    return { offset, length };
  }
}

/** The tensor, some of its rows at a time: whole heads, as their rows may stand in another order than the file's. */
async function* rowsOf(model: ModelFile, name: string): AsyncGenerator<WeightTensor> {
  const { shape: [rows, columns = 0] } = infoOf(model, name), { headDim } = model.config;
  if (columns === 0) return yield await model.tensor(name);
  const count = Math.max(1, Math.floor(AT_ONCE / columns / headDim)) * headDim;
  for (let first = 0; first < rows!; first += count) {
    yield await model.tensor(name, { first, count: Math.min(count, rows! - first) });
  }
}

/** Vectors one behind the other, or matrices one below the other. */
async function writeFloats(out: Ranges, model: ModelFile, group: string[]): Promise<FloatEntry> {
  const shapes = group.map((name) => infoOf(model, name).shape), [, ...rest] = shapes[0]!;
  const values = async function* () {
    for (const name of group) {
      for await (const { type, bytes } of rowsOf(model, name)) {
        const part = dequantise(type, bytes);
        requireFinite(part, name);
        yield bytesOf(part);
      }
    }
  };
  return {
    kind: "float",
    shape: [shapes.reduce((sum, [first]) => sum + first!, 0), ...rest],
    data: await out.add(values()),
  };
}

/** Matrices of one block format, one below the other. Scales and zero points, small beside the data, wait for their end. */
async function writeBlocks(out: Ranges, model: ModelFile, group: string[]): Promise<BlockEntry> {
  const shapes = group.map((name) => infoOf(model, name).shape), columns = shapes[0]![1]!;
  const forms = group.map((name) => blockForm(infoOf(model, name).type, columns)), { bits, blockSize } = forms[0]!;
  const rows = shapes.reduce((sum, [count]) => sum + count!, 0), blocks = rows * Math.ceil(columns / blockSize);
  const scales = new Float32Array(blocks);
  // where the format has none, they are what it means without any
  const zeroPoints = forms.some((form) => form.zeroPoints) ? new Uint8Array(blocks).fill(128) : null;
  const data = async function* () {
    let done = 0;
    for (const name of group) {
      for await (const tensor of rowsOf(model, name)) {
        const part = toBlocks(tensor);
        scales.set(part.scales, done);
        if (part.zeroPoints) zeroPoints!.set(part.zeroPoints, done);
        done += part.scales.length;
        yield part.data;
      }
    }
  };
  return {
    kind: "blocks",
    bits,
    blockSize,
    rows,
    columns,
    data: await out.add(data()),
    scales: await out.add([bytesOf(scales)]),
    zeroPoints: zeroPoints ? await out.add([zeroPoints]) : null,
  };
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}
