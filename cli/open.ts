/** Opens a stored model for a command: this machine's files and runtimes, and a live line while it loads. */
import type { LoadedModel } from "../core/model.ts";
import { files } from "./host.ts";
import type { Renderer } from "./render.ts";
import { loadOnnxRuntimeNode } from "./runtimes/native.ts";
import { loadOnnxRuntimeWeb } from "./runtimes/wasm.ts";
import type { resolveModel } from "./store.ts";

/** @param policy decides what the graph gives */
export async function openStored(
  { name, path, sha256 }: Awaited<ReturnType<typeof resolveModel>>,
  policy: string,
  cacheFolder: string,
  device: "auto" | "cpu" | "wasm",
  threads: number | undefined,
  renderer: Renderer,
): Promise<LoadedModel> {
  const { openModel } = await import("../mod.ts");
  renderer.status(`loading ${name}`);
  return await openModel({
    path,
    ...(sha256 ? { sha256 } : {}),
    device,
    ...(threads ? { threads } : {}),
    cacheFolder,
    files,
    policy,
    runtimes: { native: loadOnnxRuntimeNode, wasm: () => loadOnnxRuntimeWeb(threads) },
    onWarning: renderer.remark,
  }).finally(renderer.clear);
}
