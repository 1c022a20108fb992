/**
 * Takes one member out of a zip file (a Python wheel is one), streamed: the archive and the member may be larger than memory. What the archive says of
 * sizes and places is doubted: no more is unpacked than its directory states.
 */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createInflateRaw } from "node:zlib";
import { ModelError } from "../../core/errors.ts";

/** A member of the archive's central directory. */
export interface ZipMember {
  name: string;
  /** Bytes once unpacked. */
  size: number;
  packedSize: number;
  /** 0 stored, 8 deflated. */
  method: number;
  headerOffset: number;
}

const endSignature = 0x06054b50;
const directorySignature = 0x02014b50;
const headerSignature = 0x04034b50;

/** Deflate makes no more than this many bytes of one. */
const MOST_OF_ONE = 1032;

/** Finds a member by its exact name. @throws {ModelError} when the file is no zip archive or has no such member. */
export async function findMember(path: string, name: string): Promise<ZipMember> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    // The end record is the last thing in the file, except for a comment of at most 65,535 bytes.
    const tail = await readAt(handle, Math.max(0, size - 65_557), Math.min(size, 65_557));
    let end = tail.length - 22;
    while (end >= 0 && tail.readUInt32LE(end) !== endSignature) end--;
    if (end < 0) throw damaged(path, "is not a zip archive");
    const [length, offset] = [tail.readUInt32LE(end + 12), tail.readUInt32LE(end + 16)];
    if (offset + length > size) {
      throw damaged(path, `claims a directory of ${length} bytes at ${offset}, but has ${size} bytes`);
    }
    const directory = await readAt(handle, offset, length);
    for (let at = 0; at + 46 <= directory.length && directory.readUInt32LE(at) === directorySignature;) {
      const nameLength = directory.readUInt16LE(at + 28);
      if (directory.toString("utf8", at + 46, at + 46 + nameLength) === name) {
        const member = {
          name,
          method: directory.readUInt16LE(at + 10),
          packedSize: directory.readUInt32LE(at + 20),
          size: directory.readUInt32LE(at + 24),
          headerOffset: directory.readUInt32LE(at + 42),
        };
        checkMember(path, size, member);
        return member;
      }
      at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    }
    throw damaged(path, `has no member ${name}`);
  } finally {
    await handle.close();
  }
}

function checkMember(path: string, archiveSize: number, member: ZipMember): void {
  const { name, method, packedSize, size, headerOffset } = member;
  if (size === 0xffffffff || headerOffset === 0xffffffff) {
    throw damaged(path, `has members over 4 GiB (zip64), which cannot be read`);
  }
  if (method !== 0 && method !== 8) {
    throw damaged(path, `has ${name} packed by method ${method}, only deflate can be read`);
  }
  if (headerOffset + packedSize > archiveSize) {
    throw damaged(path, `claims ${packedSize} bytes for ${name} at ${headerOffset}, but has ${archiveSize} bytes`);
  }
  if (method === 0 ? size !== packedSize : size > MOST_OF_ONE * packedSize) {
    throw damaged(path, `claims that ${packedSize} bytes of ${name} are ${size} unpacked`);
  }
}

/** The member's bytes, unpacked: as many as the directory says. @throws {ModelError} where there are more or fewer */
export async function* readMember(path: string, member: ZipMember): AsyncGenerator<Uint8Array> {
  const { name, size, packedSize, headerOffset } = member;
  let done = 0;
  try {
    for await (const piece of unpacked(path, await dataStart(path, headerOffset), packedSize, member.method)) {
      done += piece.length;
      if (done > size) throw damaged(path, `unpacks ${name} to more than the ${size} bytes that it claims`);
      yield piece;
    }
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    if (typeof code === "string" && code.startsWith("Z_")) throw damaged(path, `is damaged in ${name} (${message})`);
    throw error;
  }
  if (done < size) throw damaged(path, `unpacks ${name} to ${done} bytes, where it claims ${size}`);
}

/** A member's own header stands before its bytes, and may be of another length than in the directory. */
async function dataStart(path: string, headerOffset: number): Promise<number> {
  const handle = await open(path, "r");
  try {
    const header = await readAt(handle, headerOffset, 30);
    if (header.readUInt32LE(0) !== headerSignature) throw damaged(path, `is damaged at byte ${headerOffset}`);
    return headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  } finally {
    await handle.close();
  }
}

function unpacked(path: string, start: number, packedSize: number, method: number): AsyncIterable<Uint8Array> {
  if (packedSize === 0) return (async function* () {})();
  const packed = createReadStream(path, { start, end: start + packedSize - 1, highWaterMark: 1 << 18 });
  if (method === 0) return packed;
  const inflated = createInflateRaw({ chunkSize: 1 << 18 });
  packed.on("error", (error) => inflated.destroy(error));
  inflated.on("close", () => packed.destroy());
  return packed.pipe(inflated);
}

async function readAt(handle: Awaited<ReturnType<typeof open>>, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, position);
  if (bytesRead < length) throw new ModelError(`The archive ends at byte ${position + bytesRead}: it is truncated`);
  return bytes;
}

/** @param problem what a sentence that begins with the path says of it */
function damaged(path: string, problem: string): ModelError {
  return new ModelError(`The archive ${path} ${problem}; fetch it again`);
}
