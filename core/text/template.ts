/**
 * Renders chat templates, which are programs that came with a model: `@huggingface/jinja` runs them, and this file counts while it does. Steps, depth and
 * the size of every value are bounded, so that no template takes the machine's time or memory.
 */
import { Environment, Interpreter, Template } from "@huggingface/jinja";
import { ModelError } from "../errors.ts";

/** Published templates have up to 30,000 characters. */
const MAX_SOURCE = 1 << 18;
/** The library searches every run of white space anew from each of its characters. */
const MAX_WHITE_SPACE = 4096;
/** Published templates take some hundreds of steps for a message or two. */
const MAX_STEPS = 1 << 20;
/** Statements and expressions inside one another, called macros among them. */
const MAX_DEPTH = 400;
/** Characters, and entries of lists, of all that a value holds. */
const MAX_SIZE = 1 << 20;
/** Elements of `range(…)`. */
const MAX_RANGE = 1 << 16;
/** What a filter may make of its input: as many characters, and this times as many. */
const MAX_GROWTH = 16;

/** In place of the clock: the same prompt, and so the same answer, every day. Llama's templates take this date when they have no clock. */
const FIXED_DATE = "26 Jul 2024";

type Node = NonNullable<Parameters<Interpreter["evaluate"]>[0]>;
type Value = ReturnType<Interpreter["evaluate"]>;

/** What templates are given: plain values. */
export type Given = Record<string, unknown>;

/**
 * A template that can be rendered.
 * @throws {ModelError} where the source is no template
 */
export function chatTemplate(source: string): (given: Given) => string {
  if (source.length > MAX_SOURCE) {
    throw refusal(`it has ${source.length} characters, and up to ${MAX_SOURCE} work`);
  }
  const { parsed } = understood(() => {
    if (new RegExp(`\\s{${MAX_WHITE_SPACE}}`).test(source)) {
      throw refusal(`it has ${MAX_WHITE_SPACE} characters of white space in a row, and fewer work`);
    }
    return new Template(source);
  });
  return (given) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...given })) environment.set(name, value);
    return understood(() => {
      const interpreter = new BoundedInterpreter(environment, source.length, JSON.stringify(given).length);
      return String(interpreter.run(parsed).value);
    });
  };
}

/** What the library itself gives to templates, but for the clock and a `range` without bounds. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception(message: unknown) {
    throw new Error(String(message));
  },
  strftime_now: () => FIXED_DATE,
  range,
};

function range(first: unknown, end?: unknown, step: unknown = 1): number[] {
  const [from, to, by] = end === undefined ? [0, first, 1] : [first, end, step];
  if (![from, to, by].every(Number.isSafeInteger) || by === 0) throw new Error("range() takes whole numbers");
  const count = Math.max(0, Math.ceil((Number(to) - Number(from)) / Number(by)));
  if (count > MAX_RANGE) throw refusal(`it counts to ${count} in one range, and ranges of up to ${MAX_RANGE} work`);
  return Array.from({ length: count }, (_, i) => Number(from) + i * Number(by));
}

/** Filters and methods whose result may be their input's size times an argument's. */
const GROWING = ["replace", "indent", "join", "tojson"];

/** A node that is being evaluated, and what its parts were so far. */
interface Frame {
  node: Node;
  /** Name of a filter of `GROWING` that the node applies with arguments. */
  grows: string | undefined;
  parts: number;
  /** Size of the first part, what a filter is applied to, and of the largest other. */
  first: number;
  largest: number;
}

class BoundedInterpreter extends Interpreter {
  private steps: number;
  private depth = 0;
  private readonly maxSize: number;
  private frame: Frame | null = null;
  /** Methods of texts, each bounded once. */
  private readonly bounded = new WeakSet<Value>();

  /** @param given characters of all that the template is given: what it may make of them grows with them */
  constructor(environment: Environment, private readonly source: number, given: number) {
    super(environment);
    this.steps = MAX_STEPS + 16 * given;
    this.maxSize = MAX_SIZE + 8 * given;
  }

  override evaluate(node: Node | undefined, environment: Environment): Value {
    if (!node) return super.evaluate(node, environment);
    // a macro's whole body is looked through whenever it is declared
    this.take(node.type === "Macro" || node.type === "CallStatement" ? 1 + (this.source >> 3) : 1);
    if (++this.depth > MAX_DEPTH) throw refusal(`it is nested or calls itself more than ${MAX_DEPTH} deep`);
    const outer = this.frame, frame = { node, grows: growing(node), parts: 0, first: 0, largest: 0 };
    this.frame = frame;
    let value: Value;
    try {
      value = super.evaluate(node, environment);
    } finally {
      // a loop is left through an error
      this.frame = outer;
      this.depth--;
    }
    const size = this.sizeOf(value, 0);
    if (node.type === "MemberExpression" && value.type === "FunctionValue") this.bound(value, frame.first);
    if (outer) this.note(outer, value, size);
    return value;
  }

  private take(steps: number): void {
    this.steps -= steps;
    if (this.steps < 0) throw refusal(`rendering it takes more than ${MAX_STEPS} steps, and some thousands are usual`);
  }

  /** Characters of a value as text, or more: what holds others counts at every depth, since JSON is indented. */
  private sizeOf({ value }: Value, depth: number): number {
    let size = 1 + depth;
    const hold = (more: number) => {
      size += more;
      if (size > this.maxSize) throw refusal(`it makes a value of more than ${this.maxSize} characters`);
    };
    if (typeof value === "string") {
      hold(value.length);
      this.take(value.length >> 4);
      return size;
    }
    if (!(Array.isArray(value) || value instanceof Map)) return size;
    if (depth > MAX_DEPTH) throw refusal(`it makes a value that is nested more than ${MAX_DEPTH} deep`);
    for (const entry of value as Iterable<Value | [string, Value]>) {
      this.take(1);
      if (Array.isArray(entry)) hold(entry[0].length + this.sizeOf(entry[1], depth + 1));
      else hold(this.sizeOf(entry, depth + 1));
    }
    return size;
  }

  /** Tells a node of a part's value, before what is done with it. */
  private note(frame: Frame, { type, value }: Value, size: number): void {
    // a scope is made for each element of a loop before the first turn
    if (frame.node.type === "For" && Array.isArray(value)) this.take(8 * value.length);
    const counts = typeof value === "number" && (frame.grows === "indent" || frame.grows === "tojson");
    const amount = counts ? Math.abs(value) : type === "IntegerValue" ? 1 : size;
    if (frame.parts++ === 0) frame.first = amount;
    else frame.largest = Math.max(frame.largest, amount);
    if (frame.grows !== undefined) this.grow(frame.first, frame.largest, frame.grows);
  }

  private grow(size: number, by: number, name: string): void {
    if (size * by > MAX_GROWTH * this.maxSize) {
      throw refusal(`its ${name} would make more than ${this.maxSize} characters`);
    }
  }

  /** A method of a text of this size, such as `replace`, when it is called. */
  private bound(method: Value, size: number): void {
    if (typeof method.value !== "function" || this.bounded.has(method)) return;
    this.bounded.add(method);
    const call = method.value as (parts: Value[], environment: Environment) => Value;
    method.value = (parts: Value[], environment: Environment) => {
      for (const part of parts) if (typeof part.value === "string") this.grow(size, part.value.length, "replace");
      return call(parts, environment);
    };
  }
}

function growing(node: Node): string | undefined {
  if (node.type !== "FilterExpression" && node.type !== "FilterStatement") return undefined;
  const { filter } = node as Node & { filter?: { callee?: { value?: unknown } } };
  return GROWING.find((name) => name === filter?.callee?.value);
}

/** Errors of the library, and of a template that refuses its messages, are the model's. */
function understood<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    if (error instanceof ModelError) throw error;
    // the library looks for parts that are not there
    if (error instanceof TypeError) {
      throw new ModelError(
        "Cannot render the model's chat template: it is cut off, or asks a value for what it has not",
      );
    }
    // it calls itself for what stands in brackets
    if (error instanceof RangeError) throw refusal("it is nested too deep");
    const said = (error instanceof Error ? error.message : String(error)).replace(/\s+/g, " ");
    throw new ModelError(`Cannot render the model's chat template: ${said.slice(0, 200)}`, { cause: error });
  }
}

/** A template without measure, whatever it is given. */
export class UnboundedTemplate extends ModelError {}

function refusal(problem: string): ModelError {
  return new UnboundedTemplate(`Cannot use the model's chat template: ${problem}; another model's template works`);
}
