/** Wheels: archives whose directory, sizes and streams lie. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { crc32, deflateRawSync } from "node:zlib";
import { findMember, readMember } from "../../../cli/sources/zip.ts";
import { type Kind, Wrong } from "../kind.ts";
import { EDGES, joined, mutatedBytes } from "../mutate.ts";
import type { Random } from "../random.ts";

const NAME = "pack/tiny.gguf";

export const zip: Kind = {
  name: "zip",
  share: 4,
  codes: [5],
  prepare(folder) {
    const path = join(folder, "archive.zip"),
      contents = [new Uint8Array(0), new Uint8Array(300), new Uint8Array(2_000_000)];
    return Promise.resolve(async (random) => {
      const archive = zipOf(random, random.pick(contents));
      await writeFile(path, random.chance(0.5) ? mutatedBytes(random, archive) : archive);
      const member = await findMember(path, NAME);
      let bytes = 0;
      for await (const piece of readMember(path, member)) bytes += piece.length;
      if (bytes !== member.size) throw new Wrong(`a member of ${member.size} bytes unpacked to ${bytes}`);
      return true;
    });
  },
};

/** An archive of one member, some of whose numbers are others. */
export function zipOf(random: Random, content: Uint8Array): Uint8Array {
  const stored = random.chance(0.3), packed = stored ? content : new Uint8Array(deflateRawSync(content));
  const lies = (value: number) => random.chance(0.1) ? random.pick([...EDGES, value + 1, value - 1, value * 2]) : value;
  const numbers = (form: string, ...values: number[]) => {
    const out = new Uint8Array([...form].reduce((sum, one) => sum + Number(one), 0)), view = new DataView(out.buffer);
    let at = 0;
    for (const [i, size] of [...form].entries()) {
      if (size === "2") view.setUint16(at, values[i]!, true);
      else view.setUint32(at, values[i]! % 2 ** 32, true);
      at += Number(size);
    }
    return out;
  };
  const name = new TextEncoder().encode(NAME), sum = crc32(content);
  const common = () =>
    numbers(
      "222224442",
      20,
      0,
      lies(stored ? 0 : 8),
      0,
      0,
      sum,
      lies(packed.length),
      lies(content.length),
      lies(name.length),
    );
  const local = joined(numbers("4", 0x04034b50), common(), numbers("2", lies(0)), name, packed);
  const entry = joined(
    numbers("42", 0x02014b50, 20),
    common(),
    numbers("222244", lies(0), lies(0), 0, 0, 0, lies(0)).subarray(0, 16),
    name,
  );
  const end = numbers("42222442", 0x06054b50, 0, 0, 1, 1, lies(entry.length), lies(local.length), 0);
  return joined(local, entry, end);
}
