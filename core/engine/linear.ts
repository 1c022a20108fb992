/**
 * Matrices, vectors and the embedding as graph nodes over one external weights file. What lies where in that file is the `WeightIndex`, so a graph
 * is written without reading a weight.
 */
import type { Graph } from "./onnx.ts";

const MS = "com.microsoft";

/** Byte range in the weights file. */
export interface Range {
  offset: number;
  length: number;
}

/** A matrix [rows, columns] (y = x Wᵀ) in MatMulNBits blocks. */
export interface BlockEntry {
  kind: "blocks";
  bits: 4 | 8;
  blockSize: number;
  rows: number;
  columns: number;
  data: Range;
  scales: Range;
  zeroPoints: Range | null;
}

/** A float32 matrix or vector. */
export interface FloatEntry {
  kind: "float";
  shape: number[];
  data: Range;
}

/** What `prepare.ts` wrote. Matrices that are always used together are stored as one, under their names joined by "+". */
export interface WeightIndex {
  version: number;
  entries: Record<string, BlockEntry | FloatEntry>;
}

/** The node that multiplies by a float32 matrix as it is stored, transposed: WebGPU has no FusedMatMul, and Gemm takes matrices only. */
export type FloatProduct = "FusedMatMul" | "Gemm";

/** Writes nodes that read weights. Initializers always go into the outermost graph: sub-graphs see them there. */
export class WeightWriter {
  constructor(
    private readonly graph: Graph,
    private readonly index: WeightIndex,
    private readonly location: string,
    private readonly product: FloatProduct = "FusedMatMul",
    private readonly root: Graph = graph,
    private readonly declared: Set<string> = new Set(),
  ) {}

  /** The same weights, with nodes going into a sub-graph. */
  within(graph: Graph): WeightWriter {
    return new WeightWriter(graph, this.index, this.location, this.product, this.root, this.declared);
  }

  private entry(name: string): BlockEntry | FloatEntry {
    const entry = this.index.entries[name];
    if (!entry) throw new Error(`Weight "${name}" is not in the prepared file`);
    return entry;
  }

  private external(name: string, type: "float32" | "uint8", dims: number[], range: Range): string {
    if (!this.declared.has(name)) {
      this.declared.add(name);
      this.root.external(name, type, dims, { location: this.location, ...range });
    }
    return name;
  }

  /** A float vector, such as a norm's gain; several are one, one behind the other. */
  vector(...names: string[]): string {
    const name = names.join("+"), entry = this.entry(name);
    if (entry.kind !== "float") throw new Error(`Weight "${name}" is not stored as float32`);
    return this.external(name, "float32", entry.shape, entry.data);
  }

  /** `y` = x times the transposed matrix; several names give their outputs side by side, [1, S, rows of all]. */
  linear(matrices: string[], x: string, y: string): string {
    const joined = matrices.join("+");
    if (matrices.length > 1 && !this.index.entries[joined]) {
      const parts = matrices.map((name, i) => this.linear([name], x, `${y}.${i}`));
      return this.graph.node("Concat", parts, [y], { axis: 2 });
    }
    const entry = this.entry(joined);
    if (entry.kind === "float") {
      const b = this.external(joined, "float32", entry.shape, entry.data), [rows, columns] = entry.shape;
      if (this.product === "FusedMatMul") return this.graph.node("FusedMatMul", [x, b], [y], { transB: 1 }, MS);
      const shape = (name: string, dims: number[]) => this.once(name, () => this.root.int64s(name, dims));
      const flat = this.graph.node("Reshape", [x, shape(`rows.${columns}`, [-1, columns!])], [`${y}.x`]);
      const out = this.graph.node("Gemm", [flat, b], [`${y}.flat`], { transB: 1 });
      return this.graph.node("Reshape", [out, shape(`batch.${rows}`, [1, -1, rows!])], [y]);
    }
    const { rows, columns, bits, blockSize } = entry, blocks = Math.ceil(columns / blockSize);
    const inputs = [
      x,
      this.external(`${joined}.q`, "uint8", [rows, blocks, blockSize * bits / 8], entry.data),
      this.external(`${joined}.scales`, "float32", [rows * blocks], entry.scales),
    ];
    if (entry.zeroPoints) {
      inputs.push(this.external(`${joined}.zp`, "uint8", [entry.zeroPoints.length], entry.zeroPoints));
    }
    // accuracy_level 4: int8 arithmetic; the default on CPU is several times slower (runtime.md section 3)
    const attributes = { K: columns, N: rows, bits, block_size: blockSize, accuracy_level: 4 };
    return this.graph.node("MatMulNBits", inputs, [y], attributes, MS);
  }

  /**
   * `y` = x times some columns of a matrix, transposed: what x contributes when it stands at those columns of a longer input. Several places give their
   * outputs side by side, [..., rows of all]. Where the matrix is stored in blocks, in 8 and 7 bits (x's scale is that of all its rows), which
   * takes two thirds of the time of float32; MatMulNBits is a third slower than float32 for rows as short as these.
   * @param from first column of each place
   * @param x [..., count]
   */
  columns(name: string, from: number[], count: number, x: string, y: string): string {
    // constants of the outermost graph, so the runtime cuts and joins them once, when it opens the model
    const table = this.table(name);
    const places = from.map((first) => this.slice(table, 1, first, count));
    const joined = places.length === 1
      ? places[0]!
      : this.once(`${table}.at.${from.join("+")}`, (out) => this.root.node("Concat", places, [out], { axis: 0 }));
    if (this.entry(name).kind === "float") return this.graph.node("FusedMatMul", [x, joined], [y], { transB: 1 }, MS);
    const { bytes, scales } = this.bytes(joined);
    return this.graph.node("DynamicQuantizeMatMul", [x, bytes, scales], [y], {}, MS);
  }

  /** A matrix [rows, count] of the outermost graph in 7 bits and transposed, int8 [count, rows], with a scale for each of its rows, made once. */
  private bytes(matrix: string): { bytes: string; scales: string } {
    const { root } = this, scales = `${matrix}.scales8`;
    const bytes = this.once(`${matrix}.bytes`, (out) => {
      const sizes = root.node("Abs", [matrix], [`${out}.sizes`]);
      const largest = root.node("ReduceMax", [sizes, this.int64(1)], [`${out}.largest`], { keepdims: 0 });
      // a row of zeros has any scale but zero
      const some = root.constant(`${out}.least`, "float32", [], Float32Array.of(1e-30));
      // no more: processors without VNNI add two products of a byte and such a number in 16 bits, and stop at 32,767
      const most = root.constant(`${out}.most`, "float32", [], Float32Array.of(64));
      root.node("Div", [root.node("Max", [largest, some], [`${out}.range`]), most], [scales]);
      const turned = root.node("Transpose", [matrix], [`${out}.turned`], { perm: [1, 0] });
      const whole = root.node("Round", [root.node("Div", [turned, scales], [`${out}.scaled`])], [`${out}.whole`]);
      return root.node("Cast", [whole], [out], { to: 3 });
    });
    return { bytes, scales };
  }

  /** A matrix as floats [rows, columns], made when the runtime opens the model. */
  private table(name: string): string {
    const entry = this.entry(name);
    if (entry.kind === "float") return this.external(name, "float32", entry.shape, entry.data);
    return this.once(`${name}.table`, (out) => {
      const { rows, columns, bits, blockSize } = entry, blocks = Math.ceil(columns / blockSize), { root } = this;
      const packed = this.external(`${name}.q`, "uint8", [rows, blocks, blockSize * bits / 8], entry.data);
      const perBlock = root.int64s(`${out}.perblock`, [rows, blocks, 1]);
      const scales = this.external(`${name}.scales.table`, "float32", [rows, blocks, 1], entry.scales);
      let zero: string;
      if (entry.zeroPoints) {
        const width = entry.zeroPoints.length / rows;
        const bytes = this.external(`${name}.zp.table`, "uint8", [rows, width], entry.zeroPoints);
        const numbers = this.unpacked(bytes, bits, [rows, width * 8 / bits]);
        zero = root.node("Reshape", [this.slice(numbers, 1, 0, blocks), perBlock], [`${out}.zero`]);
      } else zero = root.constant(`${out}.zero`, "float32", [], Float32Array.of(bits === 8 ? 128 : 8));
      const centred = root.node("Sub", [this.unpacked(packed, bits, [rows, blocks, blockSize]), zero], [
        `${out}.centred`,
      ]);
      const scaled = root.node("Mul", [centred, scales], [`${out}.scaled`]);
      const shape = root.int64s(`${out}.shape`, [rows, blocks * blockSize]);
      if (blocks * blockSize === columns) return root.node("Reshape", [scaled, shape], [out]);
      const padded = root.node("Reshape", [scaled, shape], [`${out}.padded`]);
      return root.node("Slice", [padded, this.int64(0), this.int64(columns), this.int64(1)], [out]);
    });
  }

  /** Numbers of 8 or 4 bits, the low half of a byte first, as floats. */
  private unpacked(bytes: string, bits: 4 | 8, dims: number[]): string {
    const { root } = this, whole = root.node("Cast", [bytes], [`${bytes}.float`], { to: 1 });
    if (bits === 8) return whole;
    const number = (name: string, value: number) => root.constant(name, "float32", [], Float32Array.of(value));
    const high = root.node("Floor", [root.node("Mul", [whole, number(`${bytes}.1/16`, 1 / 16)], [`${bytes}.over16`])], [
      `${bytes}.high`,
    ]);
    const above = root.node("Mul", [high, number(`${bytes}.16`, 16)], [`${bytes}.above`]);
    const low = root.node("Sub", [whole, above], [`${bytes}.low`]), last = this.int64(-1);
    const pairs = [low, high].map((half) => root.node("Unsqueeze", [half, last], [`${half}.one`]));
    const both = root.node("Concat", pairs, [`${bytes}.pairs`], { axis: -1 });
    return root.node("Reshape", [both, root.int64s(`${bytes}.dims`, dims)], [`${bytes}.numbers`]);
  }

  /** Part of a value of the outermost graph. */
  private slice(data: string, axis: number, first: number, size: number): string {
    return this.once(
      `${data}.${first}+${size}`,
      (out) => this.root.node("Slice", [data, this.int64(first), this.int64(first + size), this.int64(axis)], [out]),
    );
  }

  /** Makes a value of the outermost graph at its first use. */
  private once(name: string, make: (name: string) => string): string {
    if (this.declared.has(name)) return name;
    this.declared.add(name);
    return make(name);
  }

  private int64(value: number): string {
    return this.once(`int64.${value}`, (name) => this.root.int64s(name, [value]));
  }

  /** `y` [1, S, columns] = rows of the matrix. */
  embedding(name: string, ids: string, y: string): string {
    const entry = this.entry(name);
    if (entry.kind === "float") {
      return this.graph.node("Gather", [this.external(name, "float32", entry.shape, entry.data), ids], [y]);
    }
    const { rows, columns, bits, blockSize } = entry, blocks = Math.ceil(columns / blockSize);
    const padded = blocks * blockSize, packed = padded * bits / 8;
    const inputs = [
      this.external(`${name}.rows`, "uint8", [rows, packed], entry.data),
      ids,
      this.external(`${name}.rows.scales`, "float32", [rows, blocks], entry.scales),
    ];
    if (entry.zeroPoints) {
      const width = entry.zeroPoints.length / rows;
      inputs.push(this.external(`${name}.rows.zp`, "uint8", [rows, width], entry.zeroPoints));
    }
    const attributes = { gather_axis: 0, quantize_axis: 1, block_size: blockSize, bits };
    if (padded === columns) return this.graph.node("GatherBlockQuantized", inputs, [y], attributes, MS);
    // rows are stored in whole blocks
    const rowsOf = this.graph.node("GatherBlockQuantized", inputs, [`${y}.padded`], attributes, MS);
    return this.graph.node("Slice", [rowsOf, this.int64(0), this.int64(columns), this.int64(-1)], [y]);
  }
}
