/** Where Palimpsest keeps what it can make or fetch again (models, prepared graphs, the unpacked native runtime), and what only the user can. */
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import process from "node:process";

type Environment = Record<string, string | undefined>;

/**
 * The cache folder: `PALIMPSEST_CACHE`, else the platform's place for caches (XDG on Linux, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on
 * Windows). `XDG_CACHE_HOME` is honoured everywhere, and only as an absolute path, as its specification asks.
 */
export function cacheFolder(environment: Environment = process.env, platform: string = process.platform): string {
  if (environment.PALIMPSEST_CACHE) return resolve(environment.PALIMPSEST_CACHE);
  const xdg = environment.XDG_CACHE_HOME;
  if (xdg && isAbsolute(xdg)) return join(xdg, "palimpsest");
  const home = environment.HOME || environment.USERPROFILE || homedir();
  if (platform === "darwin") return join(home, "Library", "Caches", "palimpsest");
  if (platform === "win32") return join(environment.LOCALAPPDATA || join(home, "AppData", "Local"), "palimpsest");
  return join(home, ".cache", "palimpsest");
}

/**
 * The data folder, for what the user made and nobody can fetch again, such as trained packs: `PALIMPSEST_DATA`, else the platform's place for data (XDG
 * on Linux, `~/Library/Application Support` on macOS, `%APPDATA%` on Windows).
 */
export function dataFolder(environment: Environment = process.env, platform: string = process.platform): string {
  if (environment.PALIMPSEST_DATA) return resolve(environment.PALIMPSEST_DATA);
  const xdg = environment.XDG_DATA_HOME;
  if (xdg && isAbsolute(xdg)) return join(xdg, "palimpsest");
  const home = environment.HOME || environment.USERPROFILE || homedir();
  if (platform === "darwin") return join(home, "Library", "Application Support", "palimpsest");
  if (platform === "win32") return join(environment.APPDATA || join(home, "AppData", "Roaming"), "palimpsest");
  return join(home, ".local", "share", "palimpsest");
}

/** Folder of the prepared graphs of one model file; the engine writes there, `models rm` removes it. */
export function graphsFolder(cache: string, sha256: string): string {
  return join(cache, "graphs", sha256.slice(0, 16));
}
