/**
 * `palimpsest ask` on a GPU that is lost: a process of its own, `losing_gpu.ts PASSES words… `. It is the command line's own `ask`, with a source of
 * GPUs whose device is destroyed before the pass of that number, or with `full@N` has no memory left from then on. `PASSES` of `fake` needs no driver: a CPU plays the GPU and fails at the third chunk.
 */
import process from "node:process";
import type { Gpus } from "../../cli/gpus.ts";
import { describeFailure, report } from "../../cli/exit.ts";
import { openDocuments } from "../../cli/documents.ts";
import { run, type RunFlags } from "../../cli/run.ts";
import type { OnnxRuntime } from "../../core/engine/cpu.ts";
import { openCpu } from "../../core/engine/cpu.ts";
import { NO_FEATURES } from "../../core/engine/features.ts";
import { prepare } from "../../core/engine/prepare.ts";
import { cpuAllocation } from "../../core/budget.ts";
import { DeviceError } from "../../core/errors.ts";
import { Reader } from "../../core/reader.ts";
import { loadOnnxRuntimeNode } from "../../cli/runtimes/native.ts";
import { adapters, loadWebGpu } from "../../cli/runtimes/webgpu.ts";
import { loadOnnxRuntimeWebGpu } from "../../cli/runtimes/webgpu_onnx.ts";
import { cacheFolder } from "../../cli/folders.ts";
import { gpuOpener } from "../../kernels/reading/open.ts";
import { filling } from "./full_gpu.ts";

const [when, device, question, ...documents] = process.argv.slice(2) as [string, RunFlags["device"], string];

const isFull = when.startsWith("full@");

/** Destroys the device when ONNX Runtime's session is run for the `passes`-th time on the model. */
function losing(runtime: OnnxRuntime, passes: number, lose: () => void): OnnxRuntime {
  const { InferenceSession } = runtime, create = InferenceSession.create.bind(InferenceSession);
  let left = passes;
  const session = async (...args: Parameters<typeof create>) => {
    const made = await create(...args),
      forward = made.run.bind(made) as (...all: unknown[]) => ReturnType<typeof made.run>;
    if (!made.inputNames.includes("input_ids")) return made;
    made.run = (...args: unknown[]) => {
      if (--left === 0) lose();
      return forward(...args);
    };
    return made;
  };
  return { ...runtime, InferenceSession: { create: session } } as unknown as OnnxRuntime;
}

const real: Gpus = {
  mayBeHere: () => true,
  async opener() {
    const found = await adapters(await loadWebGpu(), ({ info }) => info.description);
    let lose = () => {};
    for (const adapter of found) {
      const request = adapter.requestDevice.bind(adapter);
      adapter.requestDevice = async (descriptor) => {
        const device = await request(descriptor);
        lose = isFull ? filling(device).fill : () => device.destroy();
        return device;
      };
    }
    const opener = gpuOpener({
      adapters: () => Promise.resolve(found),
      onnx: async () => losing(await loadOnnxRuntimeWebGpu(), Number(when.split("@").at(-1)), () => lose()),
    }, { allowSoftware: true });
    if (when !== "full@0") return opener;
    const open: typeof opener.open = async (...args) => {
      const opened = await opener.open(...args);
      lose();
      return opened;
    };
    return { ...opener, open };
  },
};

const fake: Gpus = {
  mayBeHere: () => true,
  opener: () =>
    Promise.resolve({
      unsupported: () => null,
      async open(model, _policy, files) {
        const prepared = await prepare(files, cacheFolder(), model, "blocks", NO_FEATURES);
        const engine = await openCpu(await loadOnnxRuntimeNode(), prepared, model.config, NO_FEATURES, 1);
        let chunks = 0, lost: DeviceError | null = null;
        return {
          device: { kind: "webgpu", name: "fake" },
          openReading(policy, options) {
            const reading = new Reader(engine, policy, options), read = reading.read.bind(reading);
            reading.read = (tokens, whileWhole) => {
              if (++chunks < 3) return read(tokens, whileWhole);
              lost = new DeviceError('The GPU "fake" was lost: it was a test');
              throw new Error("what a runtime says of it");
            };
            return reading;
          },
          allocation: (policy, rooms) =>
            Promise.resolve((slots) => cpuAllocation(model.config, policy, { ...rooms, slots })),
          failure: () => lost,
          close: () => engine.close(),
        };
      },
    }),
};

const flags: RunFlags = {
  model: process.env.PALIMPSEST_MODEL!,
  kvBudget: { slots: 96 },
  chunk: 64,
  policy: when === "fake" ? "streaming" : "snapkv",
  positions: "auto",
  device,
  threads: 1,
  verbose: true,
};
const sources = await openDocuments(documents.length > 0 ? documents : ["-"]);
try {
  await run({ command: "ask", sources, instruction: question, maxTokens: 4 }, flags, when === "fake" ? fake : real);
  process.exit(0);
} catch (error) {
  const failure = describeFailure(error);
  report(failure, error, { json: false, verbose: false });
  process.exit(failure.code);
}
