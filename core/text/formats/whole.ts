/** Bytes of formats that can only be read whole: their directory stands at the end. */
import { InputError } from "../../errors.ts";
import { concat } from "./head.ts";

/** The largest document that is taken into memory. */
const MOST_BYTES = 1 << 30;

/** @throws {InputError} for more than that */
export async function whole(bytes: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for await (const piece of bytes) {
    // a copy: the source may use its buffer again
    pieces.push(piece.slice());
    length += piece.length;
    if (length > MOST_BYTES) {
      throw new InputError(
        `${name} has more than ${MOST_BYTES} bytes, the most that such a document may have: split it`,
      );
    }
  }
  return concat(pieces, length) as Uint8Array<ArrayBuffer>;
}
