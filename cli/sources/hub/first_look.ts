/** A look at the first bytes of a file before all of it is fetched: gigabytes of a model that cannot be run are of no use. */
import { Buffer } from "node:buffer";
import { ModelError } from "../../../core/errors.ts";
import { ggufArchitectures, named } from "../../../core/engine/architectures/all.ts";
import { type Hub, Unreachable } from "./access.ts";
import type { HubFile } from "./listing.ts";

/** The architecture is among the first entries of a GGUF file, before the long lists of tokens. */
const looked = 16_384;

/**
 * @throws {ModelError} where a GGUF file is none, or of an architecture that cannot be run
 * @throws {HubRefusal} where the hub does not give the file
 */
export async function refuseUnusable(hub: Hub, url: string, { path, size }: HubFile): Promise<void> {
  if (!/\.gguf$/i.test(path)) return;
  const start = await firstBytes(hub, url, Math.min(looked, size)).catch((error) => {
    // the download itself is more patient
    if (error instanceof Unreachable) return null;
    throw error;
  });
  if (!start) return;
  const text = start.toString("latin1");
  if (!text.startsWith("GGUF")) throw new ModelError(`${path} is not a GGUF file: it does not begin with GGUF`);
  const name = architectureIn(start, text);
  if (name === null || ggufArchitectures.has(name)) return;
  throw new ModelError(
    `${path} is of the architecture ${JSON.stringify(name)}, which cannot be run: ${named(ggufArchitectures)} work`,
  );
}

async function firstBytes(hub: Hub, url: string, length: number): Promise<Buffer> {
  const { response } = await hub.get(url, { range: `bytes=0-${length - 1}` }), reader = response.body!.getReader();
  const pieces: Uint8Array[] = [];
  try {
    for (let bytes = 0; bytes < length;) {
      const { done, value } = await reader.read();
      if (done) break;
      pieces.push(value);
      bytes += value.length;
    }
  } catch {
    // what came is looked at
  } finally {
    // a server without ranges would send everything
    await reader.cancel().catch(() => {});
  }
  return Buffer.concat(pieces);
}

/** The string value (type 8, eight bytes of length) of `general.architecture`; null where it is not here. */
function architectureIn(bytes: Buffer, text: string): string | null {
  const key = "general.architecture", at = text.indexOf(key) + key.length;
  if (at < key.length || at + 12 > bytes.length || bytes.readUInt32LE(at) !== 8) return null;
  const length = Number(bytes.readBigUInt64LE(at + 4));
  return length > 0 && length < 64 && at + 12 + length <= bytes.length ? text.slice(at + 12, at + 12 + length) : null;
}
