/** The config file: where it is, and what its keys say. TOML; top-level keys are flags, a table named after a command wins over them there. */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import process from "node:process";
import { UsageError } from "../core/errors.ts";

type Environment = Record<string, string | undefined>;

/** What a key may hold: the rest of TOML (dates, lists) means nothing here. */
export type ConfigValue = string | number | boolean;

/** One key of the file. */
export interface ConfigEntry {
  /** The table it stands in, null at the top. */
  command: string | null;
  key: string;
  value: unknown;
}

/**
 * The file's path: `PALIMPSEST_CONFIG`, else `palimpsest/config.toml` below `XDG_CONFIG_HOME` (as an absolute path), `%APPDATA%` on Windows, or
 * `~/.config`, also on macOS, where command-line tools are looked for there.
 */
export function configPath(environment: Environment = process.env, platform: string = process.platform): string {
  if (environment.PALIMPSEST_CONFIG) return resolve(environment.PALIMPSEST_CONFIG);
  const xdg = environment.XDG_CONFIG_HOME;
  if (xdg && isAbsolute(xdg)) return join(xdg, "palimpsest", "config.toml");
  const home = environment.HOME || environment.USERPROFILE || homedir();
  if (platform !== "win32") return join(home, ".config", "palimpsest", "config.toml");
  return join(environment.APPDATA || join(home, "AppData", "Roaming"), "palimpsest", "config.toml");
}

/**
 * Every key of the file, in its order; null where there is no file, which is an error only where `PALIMPSEST_CONFIG` names it.
 * @throws {UsageError} for a file that cannot be read or is not TOML
 */
export async function readConfig(path: string, environment: Environment = process.env): Promise<ConfigEntry[] | null> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    if ((code === "ENOENT" || code === "ENOTDIR") && !environment.PALIMPSEST_CONFIG) return null;
    throw new UsageError(`Cannot read the config file ${path}: ${code === "ENOENT" ? "no such file" : message}`);
  }
  if (text.trim() === "") return [];
  const { parse, TomlError } = await import("smol-toml");
  let table: Record<string, unknown>;
  try {
    table = parse(text);
  } catch (error) {
    if (!(error instanceof TomlError)) throw error;
    const said = error.message.split("\n")[0]!.replace(/^Invalid TOML document: /, "");
    throw new UsageError(`The config file ${path} is not TOML: line ${error.line}, column ${error.column}: ${said}`);
  }
  return Object.entries(table).flatMap(([key, value]): ConfigEntry[] =>
    isTable(value)
      ? Object.entries(value).map(([inner, one]) => ({ command: key, key: inner, value: one }))
      : [{ command: null, key, value }]
  );
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
