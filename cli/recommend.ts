/** `palimpsest models recommend`: which model suits this machine's memory. */
import { cacheFolder } from "./folders.ts";
import { defaultThreads, totalMemoryBytes } from "./host.ts";
import { columns } from "./models.ts";
import { readableBytes, readableCount, readableDuration } from "./numbers.ts";
import { writeJson, writeOut } from "./output.ts";
import { memoryNeeded, recommended, type RecommendedModel } from "./recommended.ts";
import { roughSpeed } from "./speeds.ts";
import { listStored } from "./store.ts";

/** The rest is the system's, the document's and other programs'. */
const ours = 0.75;

/** Flags of `models recommend`. */
export interface RecommendFlags {
  memory?: number | undefined;
  json?: boolean | undefined;
}

/** Names the largest model that fits, says why, and how to get it. */
export async function recommend(flags: RecommendFlags): Promise<void> {
  const memoryBytes = flags.memory ?? totalMemoryBytes(), usableBytes = Math.floor(ours * memoryBytes);
  const stored = await listStored(cacheFolder());
  const models = recommended.map((model) => ({ ...model, ...memoryNeeded(model), here: storedName(model, stored) }));
  const fitting = models.filter((model) => model.neededBytes <= usableBytes), best = fitting.at(-1) ?? models[0]!;
  const fits = fitting.length > 0, threads = defaultThreads(), speed = roughSpeed(best.parameters, threads);
  const command = best.here ? `palimpsest ask -m ${best.here} book.txt "…"` : `palimpsest pull ${best.pull}`;
  if (flags.json) {
    const shown = (
      { name, pull, parameters, neededBytes, downloadBytes, trainedPositions, license, languages, here }: typeof best,
    ) => ({
      name,
      pull,
      parameters,
      downloadBytes,
      neededBytes,
      trainedPositions,
      license,
      languages,
      fits: neededBytes <= usableBytes,
      stored: here,
    });
    return writeJson({
      schema: "palimpsest.models/1",
      command: "models recommend",
      memoryBytes,
      usableBytes,
      recommended: { ...shown(best), command, readsTokensPerSecond: Math.round(speed.prefill) },
      models: models.map(shown),
    });
  }
  const share = `${readableBytes(usableBytes)}, three quarters of ${flags.memory ? "" : "this machine's "}${
    readableBytes(memoryBytes)
  }`;
  const why = fits
    ? `the largest of ${models.length} that fits ${share}`
    : `the smallest there is, though it wants more than ${share}`;
  writeOut(columns([
    [
      "model",
      `${best.name}, ${best.languages}, ${best.license}, trained on ${readableCount(best.trainedPositions)} positions`,
    ],
    ["why", why],
    [
      "memory",
      `about ${readableBytes(best.neededBytes)}: weights of 8 bits ${readableBytes(best.weightBytes)}, KV memory ${
        readableBytes(best.kvBytes)
      } at the default budget, and the program`,
    ],
    [
      "speed",
      `reads roughly ${
        readableCount(speed.prefill)
      } tokens a second on ${threads} cores without a GPU, a novel of 100,000 in ${
        readableDuration(1e8 / speed.prefill)
      }`,
    ],
    [best.here ? "here" : "pull", best.here ? command : `${command}   (${readableBytes(best.downloadBytes)})`],
  ]));
  writeOut(
    "\n" + columns(models.map((model) => [
      model === best ? "→" : " ",
      model.name,
      `needs ${readableBytes(model.neededBytes)}`,
      model.neededBytes <= usableBytes ? "fits" : "too large",
      `${readableCount(Math.max(1, roughSpeed(model.parameters, threads).prefill))} tok/s`,
      model.here ? `here: ${model.here}` : model.pull,
    ])),
  );
}

function storedName(model: RecommendedModel, stored: { name: string; hub?: { repository: string } }[]): string | null {
  const [repository] = model.pull.replace(/^hf:/, "").split(":");
  return stored.find(({ name, hub }) => name === model.pull || hub?.repository === repository)?.name ?? null;
}
