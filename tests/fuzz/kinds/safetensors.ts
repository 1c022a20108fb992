/** Hugging Face folders: every file of one may be damaged, above all headers, indices and configurations. */
import { openModelFile } from "../../../core/engine/open.ts";
import { NO_FEATURES } from "../../../core/engine/features.ts";
import { prepare } from "../../../core/engine/prepare.ts";
import { withHeader } from "../../engine/safetensors_bytes.ts";
import { memoryFiles } from "../../host.ts";
import type { Kind } from "../kind.ts";
import { EDGES, mutatedBytes, mutatedJson, spelledJson } from "../mutate.ts";
import type { Random } from "../random.ts";
import { smallModels } from "../seeds.ts";
import { readAll, useTokenizer } from "../use.ts";

export const safetensors: Kind = {
  name: "safetensors",
  share: 22,
  codes: [5],
  async prepare(folder) {
    const models = await smallModels(folder);
    return async (random) => {
      const contents = { ...random.pick(models).folder }, names = Object.keys(contents);
      for (let i = 0; i < (random.chance(0.2) ? 2 : 1); i++) {
        const name = random.pick(names);
        if (contents[name] === undefined) continue;
        if (random.chance(0.04)) delete contents[name];
        else contents[name] = damaged(random, name, contents[name]);
      }
      const stored = Object.fromEntries(Object.entries(contents).map(([name, bytes]) => [`m/${name}`, bytes]));
      const files = {
        ...memoryFiles(stored),
        writeAtomically: (_: string, produce: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>) =>
          produce(() => Promise.resolve()),
      };
      const model = await openModelFile(files, "m");
      try {
        await readAll(model);
        await useTokenizer(random, model);
        if (random.chance(0.25)) await prepare(files, "cache", model, random.pick(["blocks", "f32"]), NO_FEATURES);
      } finally {
        await model.close();
      }
      return true;
    };
  },
};

const decoder = new TextDecoder(), encoder = new TextEncoder();

/** Whether nothing has been done to it that could not be read again. */
function isWhole(name: string, bytes: Uint8Array): boolean {
  try {
    const isArrays = name.endsWith(".safetensors");
    const length = isArrays ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : bytes.length;
    const json = JSON.parse(decoder.decode(isArrays ? bytes.subarray(8, 8 + length) : bytes));
    return typeof json === "object" && json !== null;
  } catch {
    return false;
  }
}

function damaged(random: Random, name: string, bytes: Uint8Array): Uint8Array {
  if (random.chance(0.15) || !isWhole(name, bytes)) return mutatedBytes(random, bytes);
  if (!name.endsWith(".safetensors")) {
    return encoder.encode(spelledJson(random, mutatedJson(random, JSON.parse(decoder.decode(bytes)))));
  }
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true), data = bytes.subarray(8 + length);
  if (random.chance(0.1)) {
    // weights of any bits
    const out = bytes.slice();
    for (let i = 0; i < 4; i++) out.fill(random.pick([0x7c, 0x7f, 0xff, 0]), 8 + length + random.below(data.length));
    return out;
  }
  const header = JSON.parse(decoder.decode(bytes.subarray(8, 8 + length)));
  const arrays = Object.keys(header), offsets = header[random.pick(arrays)]?.data_offsets;
  if (Array.isArray(offsets) && random.chance(0.5)) {
    for (let i = 0; i < 2; i++) {
      if (random.chance(0.6)) offsets[i] = random.pick([...EDGES, -8, offsets[i] + 8, offsets[i] - 8]);
    }
  }
  const text = spelledJson(random, random.chance(0.5) ? header : mutatedJson(random, header));
  // an array twice
  const twice = random.chance(0.05) ? text.replace("{", `{${JSON.stringify(random.pick(arrays))}:null,`) : text;
  const out = withHeader(twice, [data]);
  if (random.chance(0.1)) new DataView(out.buffer).setBigUint64(0, BigInt(random.pick(EDGES)), true);
  return out;
}
