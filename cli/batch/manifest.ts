/** A batch's manifest: one JSON object a line, each a piece of work with an id of its own. */
import { createHash } from "node:crypto";
import { InputError } from "../../core/errors.ts";

/** One line of the manifest. */
export interface BatchLine {
  id: string;
  command: "ask" | "summarize";
  documents: string[];
  /** Of `ask`. */
  questions: string[];
  /** The line gave a list: its result is a list, too. */
  several: boolean;
  /** Words of a summary, where the line says so. */
  length?: number;
  /** As it stands in the file. */
  text: string;
}

/** Which lines a process takes: number `index` (from 1) of `count`. */
export interface Shard {
  index: number;
  count: number;
}

/**
 * Reads every line before any work begins: a mistake in the last one must not come to light after a night.
 * @param name of the file, for messages
 * @throws {InputError} naming the line
 */
export function parseManifest(text: string, name: string): BatchLine[] {
  const lines: BatchLine[] = [], seen = new Map<string, number>();
  text.replace(/^\uFEFF/, "").split(/\r?\n/).forEach((line, i) => {
    if (line.trim() === "") return;
    const parsed = parseLine(line, `${name}, line ${i + 1}`);
    const earlier = seen.get(parsed.id);
    if (earlier !== undefined) {
      throw new InputError(
        `${name}, line ${i + 1} has the id ${JSON.stringify(parsed.id)} of line ${earlier}: give each an id of its own`,
      );
    }
    seen.set(parsed.id, i + 1);
    lines.push(parsed);
  });
  if (lines.length > 0) return lines;
  throw new InputError(`${name} has no line: each must be {"id": "…", "documents": ["…"], "question": "…"}`);
}

function parseLine(text: string, where: string): BatchLine {
  let row: Record<string, unknown>;
  try {
    row = JSON.parse(text);
  } catch (error) {
    throw new InputError(`${where} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  if (typeof row !== "object" || row === null || Array.isArray(row)) {
    throw new InputError(`${where} must be a JSON object with id, documents and question`);
  }
  const fail = (key: string, wish: string): never => {
    const value = row[key];
    const met = value === undefined ? "it is missing" : `current value is ${JSON.stringify(value)?.slice(0, 60)}`;
    throw new InputError(`${where}: ${key} must be ${wish}, ${met}`);
  };
  const isText = (value: unknown): value is string => typeof value === "string" && value.trim() !== "";
  const texts = (key: string): string[] => {
    const value = row[key];
    return Array.isArray(value) && value.length > 0 && value.every(isText) ? value : fail(key, "a list of texts");
  };

  const id = isText(row.id) ? row.id : fail("id", "a text");
  const documents = texts("documents");
  if (documents.includes("-")) fail("documents", "files, and no stdin (-)");
  const command = row.command ?? "ask";
  if (command !== "ask" && command !== "summarize") return fail("command", `"ask" or "summarize"`);
  const length = row.length;
  const isLength = typeof length === "number" && Number.isInteger(length) && length > 0;
  if (length !== undefined && !isLength) fail("length", "a whole number of words");
  const several = row.questions !== undefined;
  if (command === "summarize") {
    if (several || row.question !== undefined) fail("command", `"ask" where there is a question`);
    return { id, command, documents, questions: [], several, text, ...(isLength ? { length } : {}) };
  }
  if (several && row.question !== undefined) fail("questions", "alone, without question");
  const questions = several ? texts("questions") : isText(row.question) ? [row.question] : fail("question", "a text");
  return { id, command, documents, questions, several, text };
}

/** "2/8" → the second of eight; null for anything else. */
export function parseShard(text: string): Shard | null {
  const [, index, count] = /^(\d{1,6})\/(\d{1,6})$/.exec(text.trim()) ?? [];
  const shard = { index: Number(index), count: Number(count) };
  return shard.index >= 1 && shard.index <= shard.count ? shard : null;
}

/** Does this shard take the line? Its id alone decides: other lines may come, go and move. */
export function takes({ index, count }: Shard, id: string): boolean {
  return createHash("sha256").update(id).digest().readUIntBE(0, 6) % count === index - 1;
}

/** What a result answers: the line and the settings that answers depend on. */
export function keyOf(line: BatchLine, settings: unknown): string {
  return createHash("sha256").update(JSON.stringify([line.text, settings])).digest("hex").slice(0, 32);
}
