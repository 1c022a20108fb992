/**
 * Documents that are zip archives of XML: which kind, and their members, unpacked. What the archive says of sizes is doubted: a member is never more than its
 * directory states, and all together are bounded.
 */
import { unzipSync } from "fflate";
import { InputError } from "../../errors.ts";
import { utf16Of } from "./head.ts";

/** All members that are wanted, unpacked: more is no document but a bomb. */
const MOST_UNPACKED = 1 << 29;

const KINDS = [
  ["word/", "docx"],
  ["ppt/", "pptx"],
  ["xl/", "xlsx"],
  ["application/epub+zip", "epub"],
  ["META-INF/container.xml", "epub"],
  ["application/vnd.oasis.opendocument.text", "odt"],
  ["application/vnd.oasis.opendocument.presentation", "odp"],
  ["application/vnd.oasis.opendocument.spreadsheet", "ods"],
] as const;

/** What kind of document a zip archive is, by an entry near its beginning, else by its name; null for others. */
export function zipKind(head: Uint8Array, name: string): string | null {
  const latin1 = String.fromCharCode(...head.subarray(0, 8192));
  const found = KINDS.find(([entry]) => latin1.includes(entry))?.[1];
  if (found) return found;
  const extension = name.replace(/\.gz$/i, "").split(".").at(-1)!.toLowerCase();
  return KINDS.find(([, kind]) => kind === extension)?.[1] ?? null;
}

/** Members whose names are wanted, by name. @throws {InputError} for a damaged archive or one that is too large */
export function members(
  bytes: Uint8Array,
  name: string,
  wanted: (member: string) => boolean,
): Map<string, Uint8Array<ArrayBuffer>> {
  let unpacked = 0;
  try {
    const found = unzipSync(bytes, {
      filter: ({ name: member, originalSize }) => {
        if (!wanted(member)) return false;
        unpacked += originalSize;
        if (unpacked > MOST_UNPACKED) {
          throw new InputError(
            `${name} unpacks to more than ${MOST_UNPACKED} bytes, the most that a document may have`,
          );
        }
        return true;
      },
    });
    return new Map(Object.entries(found) as [string, Uint8Array<ArrayBuffer>][]);
  } catch (error) {
    if (error instanceof InputError) throw error;
    throw damaged(name, (error as Error).message, error);
  }
}

/** The error of an archive that cannot be read. */
export function damaged(name: string, reason: string, cause?: unknown): InputError {
  return new InputError(`${name} is damaged (${reason}): fetch or save it again`, { cause });
}

/** A member as text: XML says its encoding, and is UTF-8 where it does not. */
export const xmlText = (bytes: Uint8Array): string => new TextDecoder(utf16Of(bytes) ?? "utf-8").decode(bytes);
