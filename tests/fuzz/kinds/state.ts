/** Saved states: their containers, facts and arrays, of a tiny model, opened and asked. */
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { loadOnnxRuntimeNode } from "../../../cli/runtimes/native.ts";
import { respond } from "../../../core/respond.ts";
import { read } from "../../../core/read.ts";
import { openState, writeState } from "../../../core/state/file.ts";
import { type KeptMemory, openKeptMemory, restoreMemory, saveMemory, summaryOf } from "../../../core/state/memory.ts";
import { readingArrays } from "../../../core/state/reading_state.ts";
import { openModel } from "../../../mod.ts";
import { withHeader } from "../../engine/safetensors_bytes.ts";
import { files } from "../../host.ts";
import { type Kind, Wrong } from "../kind.ts";
import { mutatedBytes, mutatedJson, spelledJson } from "../mutate.ts";
import { smallModels } from "../seeds.ts";
import { TEXTS } from "../use.ts";

const WORDS = "The harbour keeps two cranes and a lighthouse. ";

export const state: Kind = {
  name: "state",
  share: 8,
  // what a state asks for may not fit
  codes: [2, 4, 5],
  async prepare(folder) {
    const small = (await smallModels(folder)).find(({ family }) => family === "llama")!,
      path = join(folder, "state.gguf");
    await writeFile(path, small.gguf);
    const model = await openModel({
      path,
      device: "cpu",
      threads: 1,
      cacheFolder: folder,
      files,
      policy: "kvzip-quote",
      runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
    });
    const made = join(folder, "made.pal"), changed = join(folder, "changed.pal");
    let kept: KeptMemory;
    {
      const memory = kept = await openKeptMemory(model, {
        policy: "kvzip-quote",
        budget: { slots: 64 },
        chunkTokens: 32,
        positions: "auto",
        availableBytes: 1e9,
      });
      const chunks = async function* () {
        yield new TextEncoder().encode(TEXTS[0]!.slice(0, 200) + WORDS.repeat(6));
      };
      for await (const _ of read(memory, [{ name: "d.txt", chunks: chunks() }])) { /* it reads */ }
      await saveMemory(files, made, memory);
    }
    const whole = Uint8Array.from(await readFile(made)),
      length = new DataView(whole.buffer, whole.byteOffset).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(whole.subarray(8, 8 + length))),
      data = whole.subarray(8 + length);
    return async (random) => {
      const way = random.below(5), about = structuredClone(header);
      if (way === 0) {
        about.__metadata__.facts = spelledJson(random, mutatedJson(random, JSON.parse(about.__metadata__.facts)));
      }
      // facts and numbers that were changed before the checksum was made
      if (way === 4) {
        const arrays = readingArrays(kept.reader).map((array) => ({
          ...array,
          pieces: array.pieces.map((piece) => {
            const copy = piece.slice();
            if (random.chance(0.03)) copy[random.below(copy.length)] = random.pick([NaN, 1e30, -1, 2 ** 31 - 1, 0]);
            return copy;
          }),
        }));
        const facts = JSON.parse(about.__metadata__.facts);
        await writeState(files, changed, random.chance(0.8) ? mutatedJson(random, facts) as object : facts, arrays);
      } else {await writeFile(
          changed,
          way === 1 ? mutatedBytes(random, whole) : withHeader(
            spelledJson(random, way === 2 ? mutatedJson(random, about) : about),
            [way === 3 ? mutatedBytes(random, data) : data],
          ),
        );}
      const state = await openState(files, changed);
      try {
        summaryOf(state);
        using memory = await restoreMemory(model, state, { availableBytes: 1e8 });
        let text = "";
        for await (
          const event of respond(memory, {
            command: "ask",
            instruction: "Why?",
            maxTokens: 2,
            peakRssBytes: () => 0,
          })
        ) {
          if (event.type === "text") text += event.text;
        }
        if (text.length > 1000) throw new Wrong(`two tokens made ${text.length} characters`);
      } finally {
        await state.close();
      }
      return true;
    };
  },
};
