/**
 * A short ONNX protobuf writer: graphs with sub-graphs (`If`), inline and external initializers. Field numbers are those of `onnx.proto` (IR 10).
 * A protobuf file must stay below 2 GB, so weights are external: a file beside the graph, read by offset.
 */

const utf8 = new TextEncoder();

const DataType = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;
export type ElementType = keyof typeof DataType;

const AttributeType = { float: 1, int: 2, string: 3, graph: 5, ints: 7 } as const;

/** Collects protobuf fields; each method returns `this`. */
class Message {
  private readonly parts: Uint8Array[] = [];
  private length = 0;

  private raw(bytes: Uint8Array): this {
    this.parts.push(bytes);
    this.length += bytes.length;
    return this;
  }

  int(field: number, value: number | bigint): this {
    return this.raw(Uint8Array.from([...varint(field << 3), ...varint(value)]));
  }

  bytes(field: number, bytes: Uint8Array): this {
    return this.raw(Uint8Array.from([...varint((field << 3) | 2), ...varint(bytes.length)])).raw(bytes);
  }

  string(field: number, text: string): this {
    return this.bytes(field, utf8.encode(text));
  }

  message(field: number, message: Message): this {
    return this.bytes(field, message.done());
  }

  float(field: number, value: number): this {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setFloat32(0, value, true);
    return this.raw(Uint8Array.from(varint((field << 3) | 5))).raw(bytes);
  }

  done(): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(this.length);
    let at = 0;
    for (const part of this.parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  }
}

function varint(value: number | bigint): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const out: number[] = [];
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return out;
}

/** An integer, a list of integers, a string, a sub-graph, or `{ float }`. */
export type Attribute = number | number[] | string | Graph | { float: number };

/** Where an external initializer's bytes are. */
export interface External {
  location: string;
  offset: number;
  length: number;
}

/** One graph under construction. Names are the wires; a method that makes a value returns its name. */
export class Graph {
  private readonly nodes: Message[] = [];
  private readonly initializers: Message[] = [];
  private readonly inputs: Message[] = [];
  private readonly outputs: Message[] = [];

  constructor(readonly name: string) {}

  input(name: string, type: ElementType, dims: (number | string)[]): string {
    this.inputs.push(valueInfo(name, type, dims));
    return name;
  }

  output(name: string, type: ElementType, dims: (number | string)[]): string {
    this.outputs.push(valueInfo(name, type, dims));
    return name;
  }

  /** Inline initializer. */
  constant(name: string, type: ElementType, dims: number[], data: ArrayBufferView): string {
    const message = tensorHead(name, type, dims);
    message.bytes(9, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    this.initializers.push(message);
    return name;
  }

  int64s(name: string, values: number[], dims: number[] = [values.length]): string {
    return this.constant(name, "int64", dims, BigInt64Array.from(values, BigInt));
  }

  external(name: string, type: ElementType, dims: number[], where: External): string {
    const message = tensorHead(name, type, dims);
    const entries = { location: where.location, offset: String(where.offset), length: String(where.length) };
    for (const [key, value] of Object.entries(entries)) {
      message.message(13, new Message().string(1, key).string(2, value));
    }
    this.initializers.push(message.int(14, 1));
    return name;
  }

  /** Adds a node and returns its first output. An empty name leaves an optional input or output out. */
  node(
    op: string,
    inputs: string[],
    outputs: string[],
    attributes: Record<string, Attribute> = {},
    domain = "",
  ): string {
    const message = new Message();
    for (const input of inputs) message.string(1, input);
    for (const output of outputs) message.string(2, output);
    message.string(4, op);
    for (const [key, value] of Object.entries(attributes)) message.message(5, attribute(key, value));
    this.nodes.push(domain ? message.string(7, domain) : message);
    return outputs[0]!;
  }

  /** GraphProto. */
  message(): Message {
    const graph = new Message();
    for (const node of this.nodes) graph.message(1, node);
    graph.string(2, this.name);
    for (const tensor of this.initializers) graph.message(5, tensor);
    for (const input of this.inputs) graph.message(11, input);
    for (const output of this.outputs) graph.message(12, output);
    return graph;
  }
}

function attribute(key: string, value: Attribute): Message {
  const message = new Message().string(1, key);
  if (typeof value === "string") return message.string(4, value).int(20, AttributeType.string);
  if (typeof value === "number") return message.int(3, value).int(20, AttributeType.int);
  if (value instanceof Graph) return message.message(6, value.message()).int(20, AttributeType.graph);
  if (Array.isArray(value)) {
    for (const item of value) message.int(8, item);
    return message.int(20, AttributeType.ints);
  }
  return message.float(2, value.float).int(20, AttributeType.float);
}

function tensorHead(name: string, type: ElementType, dims: number[]): Message {
  const message = new Message();
  for (const dim of dims) message.int(1, dim);
  return message.int(2, DataType[type]).string(8, name);
}

function valueInfo(name: string, type: ElementType, dims: (number | string)[]): Message {
  const shape = new Message();
  for (const dim of dims) {
    shape.message(1, typeof dim === "string" ? new Message().string(2, dim) : new Message().int(1, dim));
  }
  const tensorType = new Message().int(1, DataType[type]).message(2, shape);
  return new Message().string(1, name).message(2, new Message().message(1, tensorType));
}

/** ModelProto with opset 21 and ONNX Runtime's own operators. */
export function serializeModel(graph: Graph): Uint8Array<ArrayBuffer> {
  return new Message().int(1, 10).string(2, "palimpsest").message(7, graph.message())
    .message(8, new Message().string(1, "").int(2, 21))
    .message(8, new Message().string(1, "com.microsoft").int(2, 1)).done();
}
