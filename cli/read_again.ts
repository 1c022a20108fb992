/** Documents that a memory was read from, to look passages up in them. */
import { createHash } from "node:crypto";
import { InputError } from "../core/errors.ts";
import type { SourceRecord } from "../core/record.ts";
import type { Source } from "../core/text/document.ts";
import { isFile, openDocuments } from "./documents.ts";

/**
 * Those that are still where they were read, byte for byte.
 * @param onRemark told of one that has changed since
 */
export async function stillThere(
  records: readonly SourceRecord[],
  onRemark: (message: string) => void,
): Promise<Source[]> {
  const found: Source[] = [];
  for (const { name, bytes, sha256 } of records) {
    if (sha256 === undefined || !await isFile(name)) continue;
    const [source] = await openDocuments([name]).catch((error) => {
      if (error instanceof InputError) return [];
      throw error;
    });
    if (!source) continue;
    if (source.size === bytes && await hashOf(source) === sha256) found.push(source);
    else onRemark(`${name} has changed since it was read: its passages are those that the memory still has`);
  }
  return found;
}

async function hashOf({ chunks }: Source): Promise<string> {
  const hash = createHash("sha256");
  for await (const chunk of chunks) hash.update(chunk);
  return hash.digest("hex");
}
