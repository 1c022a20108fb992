/** Packs of learned weights: headers, parameters, shapes and numbers. */
import { openGguf } from "../../../core/engine/gguf.ts";
import { PACK_METHODS } from "../../../core/pack/method.ts";
import { readPack } from "../../../core/pack/packs.ts";
import { safetensorsBytes, withHeader } from "../../engine/safetensors_bytes.ts";
import { memoryFile } from "../../host.ts";
import { packMetadata, packTensors } from "../../packs.ts";
import type { Kind } from "../kind.ts";
import { mutatedBytes, mutatedJson, spelledJson } from "../mutate.ts";
import { smallModels } from "../seeds.ts";

export const pack: Kind = {
  name: "pack",
  share: 6,
  codes: [5],
  async prepare(folder) {
    const small = (await smallModels(folder)).find(({ family }) => family === "llama")!;
    const model = await openGguf(memoryFile(small.gguf)), { config } = model;
    const packs = PACK_METHODS.map((method) => ({
      method,
      bytes: safetensorsBytes(packTensors[method](config), packMetadata(method)),
    }));
    return async (random) => {
      const { method, bytes } = random.pick(packs);
      const length = new DataView(bytes.buffer).getUint32(0, true), data = bytes.subarray(8 + length);
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length))), about = header.__metadata__;
      const way = random.below(4);
      if (way === 0) about.parameters = spelledJson(random, mutatedJson(random, JSON.parse(about.parameters)));
      const changed = way === 1
        ? mutatedBytes(random, bytes)
        : withHeader(spelledJson(random, way === 2 ? mutatedJson(random, header) : header), [
          way === 3 ? mutatedBytes(random, data) : data,
        ]);
      await readPack(method, memoryFile(changed, "p.safetensors"), model);
      return true;
    };
  },
};
