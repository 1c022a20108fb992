/** What the command line itself gives: a flag may also come from a variable or the config file. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";

/** Tells whether a flag, by its name in code, stands on the command line. */
export type Given = (name: string) => boolean;

export const given = (command: CommandUnknownOpts): Given => (name) => command.getOptionValueSource(name) === "cli";
