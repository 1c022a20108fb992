/** Whether JSON that somebody else wrote has the form that is read of it: what has not is told with its place and what would work. */
import { shown } from "../engine/gguf/values.ts";
import { ModelError } from "../errors.ts";

/** What may stand somewhere, where anything does: every value may also be missing or null, unless it is needed. */
export type Shape =
  | "text"
  | "number"
  | "flag"
  | { list: Shape }
  | { fields: Record<string, Shape>; needed?: readonly string[] }
  | { either: readonly Shape[] }
  | (() => Shape);

/** Deeper than anything in use. */
const MAX_DEPTH = 32;

/**
 * @param file its name
 * @throws {ModelError} for the first value of another form
 */
export function requireShape(value: unknown, shape: Shape, file: string): void {
  const refuse = (problem: string): never => {
    throw new ModelError(`The model's ${file} is damaged: ${problem}`);
  };
  require(value, shape, "", 0);

  function require(value: unknown, asked: Shape, place: string, depth: number): void {
    if (value === undefined || value === null) return;
    const shape = typeof asked === "function" ? asked() : asked, where = place === "" ? "it" : place;
    const other = (works: string) => refuse(`${where} is ${shown(value)}, where ${works} works`);
    if (depth > MAX_DEPTH) refuse(`${where.slice(0, 80)}… is nested more than ${MAX_DEPTH} deep`);
    if (shape === "text") {
      if (typeof value !== "string") other("a text");
    } else if (shape === "number") {
      if (typeof value !== "number" || !Number.isFinite(value)) other("a number");
    } else if (shape === "flag") {
      if (typeof value !== "boolean") other("true or false");
    } else if ("list" in shape) {
      if (!Array.isArray(value)) return other("a list");
      value.forEach((one, i) => {
        if (one === null) refuse(`${place}[${i}] is null`);
        require(one, shape.list, `${place}[${i}]`, depth + 1);
      });
    } else if ("either" in shape) {
      const kind = Array.isArray(value) ? "list" : typeof value,
        found = shape.either.find((one) => kindOf(one) === kind);
      if (!found) return other(shape.either.map((one) => WORDS[kindOf(one)]).join(" or "));
      require(value, found, place, depth);
    } else if ("fields" in shape) {
      if (typeof value !== "object" || Array.isArray(value)) return other("an object");
      const found = value as Record<string, unknown>,
        inner = (name: string) => place === "" ? name : `${place}.${name}`;
      const lacks = shape.needed?.find((name) => found[name] === undefined || found[name] === null);
      if (lacks) refuse(`${where} has no ${lacks}`);
      for (const [name, one] of Object.entries(shape.fields)) require(found[name], one, inner(name), depth + 1);
    }
  }
}

/** Names of shapes, by what `kindOf` says. */
const WORDS: Record<string, string> = {
  string: "a text",
  number: "a number",
  boolean: "true or false",
  list: "a list",
  object: "an object",
};

/** As `typeof` calls its values, but for lists. */
function kindOf(shape: Shape): string {
  if (typeof shape === "function") return kindOf(shape());
  if (typeof shape === "string") return { text: "string", number: "number", flag: "boolean" }[shape];
  return "list" in shape ? "list" : "object";
}
