/** Takes one member out of a zip file (a Python wheel is one), streamed: the archive and the member may be larger than memory. */
import { createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { createInflateRaw } from "node:zlib";
import type { Readable } from "node:stream";

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

/** Finds a member by its exact name. @throws {SyntaxError} when the file is no zip archive or has no such member. */
export async function findMember(path: string, name: string): Promise<ZipMember> {
  const handle = await open(path, "r");
  try {
    const { size } = await handle.stat();
    // The end record is the last thing in the file, except for a comment of at most 65,535 bytes.
    const tail = await readAt(handle, Math.max(0, size - 65_557), Math.min(size, 65_557));
    let end = tail.length - 22;
    while (end >= 0 && tail.readUInt32LE(end) !== endSignature) end--;
    if (end < 0) throw new SyntaxError(`${path} is not a zip archive`);
    const directory = await readAt(handle, tail.readUInt32LE(end + 16), tail.readUInt32LE(end + 12));
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
        if (member.size === 0xffffffff || member.headerOffset === 0xffffffff) {
          throw new SyntaxError(`${path}: members over 4 GiB (zip64) cannot be read`);
        }
        return member;
      }
      at += 46 + nameLength + directory.readUInt16LE(at + 30) + directory.readUInt16LE(at + 32);
    }
    throw new SyntaxError(`${path} has no member ${name}`);
  } finally {
    await handle.close();
  }
}

/** The member's bytes, unpacked. */
export async function readMember(path: string, member: ZipMember): Promise<Readable> {
  const handle = await open(path, "r");
  let start: number;
  try {
    const header = await readAt(handle, member.headerOffset, 30);
    if (header.readUInt32LE(0) !== headerSignature) {
      throw new SyntaxError(`${path} is damaged at byte ${member.headerOffset}`);
    }
    start = member.headerOffset + 30 + header.readUInt16LE(26) + header.readUInt16LE(28);
  } finally {
    await handle.close();
  }
  const packed = createReadStream(path, { start, end: start + member.packedSize - 1, highWaterMark: 1 << 18 });
  if (member.method === 0) return packed;
  if (member.method !== 8) {
    throw new SyntaxError(`${path}: ${member.name} is packed by method ${member.method}, only deflate can be read`);
  }
  const unpacked = createInflateRaw({ chunkSize: 1 << 18 });
  packed.on("error", (error) => unpacked.destroy(error));
  return packed.pipe(unpacked);
}

async function readAt(handle: Awaited<ReturnType<typeof open>>, position: number, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(length);
  const { bytesRead } = await handle.read(bytes, 0, length, position);
  if (bytesRead < length) throw new SyntaxError(`the archive ends at byte ${position + bytesRead}: it is truncated`);
  return bytes;
}
