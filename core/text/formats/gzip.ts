/** Documents packed by gzip, unpacked as they arrive: of whatever size they become, no more than a piece is held. */
import { InputError } from "../../errors.ts";

/** The same bytes, or what they are unpacked. @throws {InputError} while iterating, where they are damaged */
export async function* gunzipped(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const iterator = chunks[Symbol.asyncIterator]();
  try {
    let head = new Uint8Array(0), next = await iterator.next();
    while (!next.done && head.length + next.value.length < 2) {
      head = Uint8Array.of(...head, ...next.value);
      next = await iterator.next();
    }
    if (next.done) {
      if (head.length > 0) yield head;
      return;
    }
    const first = head.length > 0 ? Uint8Array.of(...head, ...next.value) : next.value;
    const rest = (async function* () {
      yield first;
      for (let more = await iterator.next(); !more.done; more = await iterator.next()) yield more.value;
    })();
    if (first[0] !== 0x1f || first[1] !== 0x8b) yield* rest;
    else yield* unpacked(rest, name);
  } finally {
    await iterator.return?.();
  }
}

async function* unpacked(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  const { Gunzip } = await import("fflate");
  const ready: Uint8Array[] = [];
  let length = 0, end = new Uint8Array(0);
  const gunzip = new Gunzip((piece) => {
    ready.push(piece);
    length += piece.length;
  });
  // one archive may stand behind another
  gunzip.onmember = () => length = 0;
  const push = (bytes: Uint8Array, final: boolean) => {
    try {
      gunzip.push(bytes, final);
    } catch (error) {
      throw refused(name, error);
    }
  };
  for await (const chunk of chunks) {
    // in small steps, as each may become a thousand times as large
    for (let at = 0; at < chunk.length; at += STEP) {
      push(chunk.subarray(at, at + STEP), false);
      while (ready.length > 0) yield ready.shift()!;
    }
    end = Uint8Array.of(...end, ...chunk.subarray(-4)).slice(-4);
  }
  push(new Uint8Array(0), true);
  while (ready.length > 0) yield ready.shift()!;
  // the last four bytes say how long it should be
  const stated = end.length === 4 ? new DataView(end.buffer).getUint32(0, true) : -1;
  if (stated !== length % 2 ** 32) throw refused(name);
}

const STEP = 1 << 14;

const refused = (name: string, cause?: unknown): InputError =>
  new InputError(`${name} is a damaged gzip archive: fetch or make it again`, { cause });
