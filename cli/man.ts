/** `palimpsest man`: the manual page in roff's man macros, made from the command tree. */
import type { Argument, CommandUnknownOpts, Option } from "@commander-js/extra-typings";
import { exitCodes } from "./exit_codes.ts";
import { writeJson, writeOut } from "./output.ts";
import { createProgram } from "./program.ts";
import { settingOptions } from "./options.ts";
import { version } from "./version.ts";

/** Variables that stand for no flag. */
const variables: [names: string, meaning: string][] = [
  ["PALIMPSEST_CONFIG", "the config file"],
  ["PALIMPSEST_CACHE", "the cache folder"],
  ["PALIMPSEST_DATA", "the folder of what you made yourself, such as packs"],
  ["PALIMPSEST_RUNTIME", "bun or deno: what the launcher of a checkout starts"],
  ["NO_COLOR, FORCE_COLOR, CLICOLOR_FORCE", "colour on stderr; NO_COLOR wins"],
  [
    "HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME, HF_HUB_CACHE, HF_HUB_OFFLINE",
    "pull: as the hub's own tools have them",
  ],
];

const files: [path: string, meaning: string][] = [
  ["$XDG_CONFIG_HOME/palimpsest/config.toml, ~/.config/palimpsest/config.toml", "settings, see config"],
  ["$XDG_CACHE_HOME/palimpsest, ~/.cache/palimpsest", "models, prepared weights and what was measured"],
  ["$XDG_DATA_HOME/palimpsest, ~/.local/share/palimpsest", "packs of your own"],
];

const examples = [
  'palimpsest ask report.md "What drove the fall in margins?"',
  'git log -p | palimpsest ask "Which change touched the retry logic?"',
  "palimpsest summarize book.txt --length 300 --kv-budget 2048",
  "palimpsest man > palimpsest.1 && man -l palimpsest.1",
];

/** Prints the page. */
export function printManual(flags: { json?: boolean | undefined }): void {
  const page = manual(createProgram());
  if (flags.json) writeJson({ schema: "palimpsest.man/1", command: "man", page });
  else writeOut(page);
}

/** @returns the page of a program, in `man` macros */
export function manual(program: CommandUnknownOpts): string {
  const commands = shown(program).flatMap((command) => [command, ...shown(command)]);
  return [
    // without a date, which no version has yet
    `.TH PALIMPSEST 1 "" "palimpsest ${version}" "User Commands"`,
    ".SH NAME",
    `palimpsest \\- ${text(lowerFirst(program.description()))}`,
    ".SH SYNOPSIS",
    // `config` alone does nothing, `models` does
    ...commands.filter((one) => one.commands.length === 0 || one.options.length > 0).flatMap((command, i) => [
      ...(i === 0 ? [] : [".PP"]),
      `${bold(nameOf(command))} ${text(usage(command))}`,
    ]),
    ".SH DESCRIPTION",
    "The answer goes to stdout, everything else to stderr. Only \\fBpalimpsest pull\\fR uses the network.",
    ".SH COMMANDS",
    ...commands.flatMap((command) => [
      `.SS ${quoted(`${nameOf(command)} ${usage(command)}`.trim())}`,
      text(command.description()),
      ...command.registeredArguments.flatMap(argument),
      ...command.createHelp().visibleOptions(command).filter((one) => one.long !== "--help").flatMap(option),
    ]),
    ".SH OPTIONS",
    ...program.createHelp().visibleOptions(program).flatMap(option),
    ".SH EXIT STATUS",
    ...exitCodes.flatMap(([code, short, more]) => item(String(code), more ? `${short}: ${more}` : short)),
    ".SH ENVIRONMENT",
    "A flag wins over its variable, which wins over the config file, which wins over the default.",
    ...settingOptions().flatMap((one) => item(one.envVar!, `stands for ${one.long}`)),
    ...variables.flatMap(([names, meaning]) => item(names, meaning)),
    ".SH FILES",
    ...files.flatMap(([path, meaning]) => item(path, meaning)),
    ".SH EXAMPLES",
    ...examples.flatMap((one, i) => [...(i === 0 ? [] : [".PP"]), ".EX", text(one), ".EE"]),
  ].join("\n") + "\n";
}

const shown = (command: CommandUnknownOpts) =>
  command.createHelp().visibleCommands(command).filter((one) => one.name() !== "help");

function nameOf(command: CommandUnknownOpts): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name();
}

/** What follows a command's name: flags before words. */
const usage = (command: CommandUnknownOpts) => command.usage().replace("[command]", "").trim();

function argument(one: Readonly<Argument>): string[] {
  const choices = one.argChoices ? ` (${one.argChoices.join(", ")})` : "";
  return one.description || choices ? item(one.name(), one.description + choices) : [];
}

function option(one: Option): string[] {
  const facts = [
    one.argChoices && `one of ${one.argChoices.join(", ")}`,
    one.defaultValue !== undefined && typeof one.defaultValue !== "boolean" && `default ${one.defaultValue}`,
    one.envVar && `variable ${one.envVar}`,
  ].filter((fact) => fact);
  return item(one.flags, facts.length > 0 ? `${one.description} (${facts.join("; ")})` : one.description);
}

/** A tagged paragraph. */
const item = (tag: string, meaning: string) => [".TP", bold(tag), text(meaning)];

const bold = (words: string) => `\\fB${text(words)}\\fR`;

/** Text that roff takes literally: backslashes, hyphens that are minus signs, letters beyond ASCII, a control character where a line begins. */
function text(words: string): string {
  const plain = words.replaceAll("\\", "\\e").replaceAll("-", "\\-").replaceAll("`", "\\(ga").replace(/^[.']/, "\\&$&");
  return plain.replace(
    /[^\n -~]/gu,
    (letter) => `\\[u${letter.codePointAt(0)!.toString(16).toUpperCase().padStart(4, "0")}]`,
  );
}

const quoted = (words: string) => `"${text(words).replaceAll('"', '""')}"`;

const lowerFirst = (words: string) => words.charAt(0).toLowerCase() + words.slice(1);
