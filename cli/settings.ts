/**
 * Settings: the flags that have an environment variable, and so a key in the config file. A flag wins over the variable, which wins over the file,
 * which wins over the default; commander knows of every value where it came from.
 */
import process from "node:process";
import { type CommandUnknownOpts, InvalidArgumentError, type Option } from "@commander-js/extra-typings";
import { PalimpsestError, UsageError } from "../core/errors.ts";
import { nearestName } from "../core/nearest_name.ts";
import { type ConfigEntry, configPath, readConfig } from "./config_file.ts";

/** The settings that a command takes, by name: `kv-budget`. */
export function settingsOf(command: CommandUnknownOpts): Map<string, Option> {
  return new Map(command.options.filter((option) => option.envVar).map((option) => [option.name(), option]));
}

/**
 * Gives a command the values of the config file where neither a flag nor a variable gave one. The whole file is checked, not only what this command
 * uses: a misspelt key must not stay unnoticed until another day.
 * @throws {UsageError} for an unknown key or a value that its flag would refuse
 */
export async function applySettings(program: CommandUnknownOpts, command: CommandUnknownOpts): Promise<void> {
  const settings = settingsOf(command);
  if (settings.size === 0) return;
  readSwitches(command, settings);
  const path = configPath();
  const entries = await readConfig(path) ?? [];
  const values = await checked(entries, program, path);
  // Those of the command's own table come last.
  const ordered = [...entries.filter((one) => one.command === null), ...entries.filter((one) => one.command !== null)];
  for (const entry of ordered) {
    const name = settings.get(entry.key)?.attributeName();
    if (!name || entry.command !== null && entry.command !== command.name()) continue;
    const source = command.getOptionValueSource(name);
    if (source === "cli" || source === "env") continue;
    command.setOptionValueWithSource(name, values.get(entry), "config");
  }
}

/** To commander a switch is on when its variable is there at all; 0 and false should turn it off. */
function readSwitches(command: CommandUnknownOpts, settings: Map<string, Option>): void {
  for (const option of settings.values()) {
    const name = option.attributeName();
    if (takesValue(option) || command.getOptionValueSource(name) !== "env") continue;
    const text = process.env[option.envVar!]!;
    if (!/^(|0|1|true|false|yes|no|on|off)$/i.test(text)) {
      throw new UsageError(`${option.envVar} takes 1 or 0, current value is ${JSON.stringify(text)}`);
    }
    command.setOptionValueWithSource(name, /^(1|true|yes|on)$/i.test(text), "env");
  }
}

/** @returns what each entry's flag makes of it */
async function checked(
  entries: ConfigEntry[],
  program: CommandUnknownOpts,
  path: string,
): Promise<Map<ConfigEntry, unknown>> {
  const values = new Map<ConfigEntry, unknown>();
  const commands = program.commands.filter((one) => settingsOf(one).size > 0);
  for (const entry of entries) {
    const places = entry.command === null ? commands : commands.filter((one) => one.name() === entry.command);
    if (places.length === 0) {
      throw new UsageError(
        unknown(`table [${entry.command}]`, path, entry.command!, commands.map((one) => one.name())),
      );
    }
    const known = new Map(places.flatMap((one) => [...settingsOf(one)]));
    const option = known.get(entry.key);
    if (!option) throw new UsageError(unknown(`key ${keyName(entry)}`, path, entry.key, [...known.keys()]));
    values.set(entry, await valueOf(entry, option, path));
  }
  return values;
}

function unknown(what: string, path: string, typed: string, known: string[]): string {
  const nearest = nearestName(typed, known);
  return `Unknown ${what} in the config file ${path}: ${
    nearest ? `did you mean ${nearest}?` : `there are ${[...new Set(known)].sort().join(", ")}`
  }`;
}

async function valueOf(entry: ConfigEntry, option: Option, path: string): Promise<unknown> {
  const { value } = entry;
  const refuse = (reason: string): never => {
    const said = reason.charAt(0).toLowerCase() + reason.slice(1).replace(/\.$/, "");
    throw new UsageError(`Cannot use ${keyName(entry)} = ${JSON.stringify(value)} in the config file ${path}: ${said}`);
  };
  if (!takesValue(option)) return typeof value === "boolean" ? value : refuse("It must be true or false");
  if (typeof value !== "string" && typeof value !== "number") return refuse("It must be a text or a number");
  try {
    if (entry.key === "policy") (await import("../core/policies.ts")).parsePolicy(String(value));
    return option.parseArg ? option.parseArg(String(value), undefined) : String(value);
  } catch (error) {
    if (error instanceof InvalidArgumentError || error instanceof PalimpsestError) return refuse(error.message);
    throw error;
  }
}

/** `ask.policy`, or `policy` at the top. */
export const keyName = ({ command, key }: Pick<ConfigEntry, "command" | "key">) => command ? `${command}.${key}` : key;

const takesValue = (option: Option) => option.required || option.optional;
