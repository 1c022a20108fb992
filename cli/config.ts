/** `palimpsest config show|path`: every setting, its value and where that comes from. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { configPath, readConfig } from "./config_file.ts";
import { columns } from "./models.ts";
import { writeJson, writeOut } from "./output.ts";
import { keyName, settingsOf } from "./settings.ts";

const sources: Record<string, string> = { cli: "flag", env: "environment", config: "file", default: "default" };

/** @param command `config show`, which has all settings as flags and was given their values as any command is */
export async function showConfig(command: CommandUnknownOpts, flags: { json?: boolean | undefined }): Promise<void> {
  const path = configPath();
  const entries = await readConfig(path);
  const settings = [...settingsOf(command)].map(([name, option]) => {
    const value = command.getOptionValue(option.attributeName());
    const source = sources[command.getOptionValueSource(option.attributeName()) ?? "default"]!;
    return {
      name,
      value: plain(name, value) ?? null,
      source,
      variable: option.envVar!,
      fallback: option.defaultValueDescription,
    };
  });
  const tables = (entries ?? []).filter((entry) => entry.command !== null);
  if (flags.json) {
    return writeJson({
      schema: "palimpsest.config/1",
      command: "config show",
      file: path,
      exists: entries !== null,
      settings: settings.map(({ name, value, source, variable }) => ({ name, value, source, variable })),
      commands: tables.map((entry) => ({ command: entry.command, name: entry.key, value: entry.value })),
    });
  }
  const rows = settings.map(({ name, value, source, variable, fallback }) => [
    name,
    value === null ? fallback ?? "off" : String(value),
    source === "environment" ? `environment (${variable})` : source,
  ]);
  const inTables = tables.map((entry) => [keyName(entry), String(entry.value), "file"]);
  writeOut(`${path}${entries ? "" : " (not there)"}\n${columns([...rows, ...inTables])}`);
}

/** Prints where the file is, or would be. */
export function showConfigPath(flags: { json?: boolean | undefined }): void {
  const path = configPath();
  if (flags.json) writeJson({ schema: "palimpsest.config/1", command: "config path", file: path });
  else writeOut(`${path}\n`);
}

/** A budget and a duration as their flags take them, everything else as it is. */
function plain(name: string, value: unknown): unknown {
  if (name === "timeout" && typeof value === "number") return `${value}ms`;
  if (typeof value !== "object" || value === null) return value;
  if ("bytes" in value) return `${value.bytes}B`;
  return "slots" in value ? String(value.slots) : value;
}
