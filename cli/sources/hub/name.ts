/** How models of a hub are written: `hf:owner/name[:file][@revision]`. */
import { basename } from "node:path";
import { UsageError } from "../../../core/errors.ts";

/** A file or a model of a hub repository. */
export interface HubSource {
  repository: string;
  /** A path in the repository, or the name of a quantisation (Q4_K_M); without it, what suits best. */
  file?: string;
  /** A branch, a tag or a commit. Default: main. */
  revision?: string;
  /** Wanted checksum of the file; without it, what the hub states. */
  sha256?: string;
}

export const hubForm = "hf:owner/name[:file][@revision]";

const part = /^\w(?:[\w.-]*\w)?$/;

/**
 * @returns null for what does not begin with `hf:`
 * @throws {UsageError} for what does, and is no such name
 */
export function parseHubName(text: string): HubSource | null {
  if (!/^hf:/i.test(text)) return null;
  const found = /^hf:([^:@]+)(?::([^@]+))?(?:@(.+))?$/i.exec(text);
  const [owner = "", name = "", ...more] = (found?.[1] ?? "").split("/");
  const [file, revision] = [found?.[2], found?.[3]];
  const refuse = (what: string) =>
    new UsageError(`${JSON.stringify(text)} names no model of a hub: ${what}; ${hubForm} works`);
  if (!found) throw refuse("it cannot be read");
  if (![owner, name].every((word) => part.test(word)) || more.length > 0) {
    throw refuse(`${JSON.stringify(found[1])} is not an owner and a name`);
  }
  if (file !== undefined && !isPlainPath(file)) throw refuse(`the file ${JSON.stringify(file)} leaves the repository`);
  if (revision !== undefined && !isRevision(revision)) {
    throw refuse(`${JSON.stringify(revision)} is no branch, tag or commit`);
  }
  return {
    repository: `${owner}/${name}`,
    ...(file === undefined ? {} : { file }),
    ...(revision === undefined ? {} : { revision }),
  };
}

/** Is this a path below a folder, on every system? What a hub lists is joined to folders of ours. */
export function isPlainPath(path: string): boolean {
  // deno-lint-ignore no-control-regex
  return !/[\\:\u0000-\u001f]/.test(path) &&
    path.split("/").every((word) => word !== "" && word !== "." && word !== "..");
}

function isRevision(text: string): boolean {
  return /^[\w.][\w./+-]*$/.test(text) && isPlainPath(text);
}

/** What a model is called in the store when nobody names it: its file, or its repository. */
export function storeName(repository: string, file: string | null): string {
  const name = file === null ? basename(repository) : basename(file).replace(/\.gguf$/i, "");
  return name.toLowerCase().replace(/[^a-z0-9._-]+/g, "-").replace(/^[^a-z0-9]+/, "") || "model";
}
