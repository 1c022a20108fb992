/** Opens the model that measurements run on: `--model`, else PALIMPSEST_TEST_MODEL, else the store's default. */
import { cacheFolder } from "../cli/folders.ts";
import { files } from "../cli/host.ts";
import { packFiles } from "../cli/packs.ts";
import { loadOnnxRuntimeNode } from "../cli/runtimes/native.ts";
import { resolveModel } from "../cli/store.ts";
import type { GraphFeatures } from "../core/engine/features.ts";
import type { StoredType } from "../core/stored_rows.ts";
import { type EngineModel, openModel } from "../mod.ts";

/** @param features where several policies will use the model */
export async function openForBench(
  model: string | undefined,
  policy: string,
  threads: number,
  features?: GraphFeatures,
  kvType: StoredType = "f32",
): Promise<EngineModel> {
  const cache = cacheFolder();
  const { path, sha256 } = await resolveModel(cache, model ?? process.env["PALIMPSEST_TEST_MODEL"] ?? "smollm2-135m");
  return openModel({
    path,
    ...(sha256 ? { sha256 } : {}),
    device: "cpu",
    threads,
    cacheFolder: cache,
    files,
    policy,
    kvType,
    packs: packFiles,
    ...(features ? { features } : {}),
    runtimes: { native: loadOnnxRuntimeNode, wasm: loadOnnxRuntimeNode },
  });
}
