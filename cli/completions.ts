/** Shell completions, by `@bomb.sh/tab`; this file alone knows that package. */
import tab, { RootCommand } from "@bomb.sh/tab";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { UsageError } from "../core/errors.ts";
import { cacheFolder } from "./folders.ts";
import { writeJson, writeOut } from "./output.ts";
import { createProgram } from "./program.ts";
import { registry } from "./registry.ts";
import { listStored } from "./store.ts";

type Suggest = (value: string, description: string) => void;
type Suggestions = { value: string; description: string }[];

/** Prints the completion script of a shell. */
export function printCompletions(shell: string, flags: { json?: boolean | undefined }): void {
  const made = captured(() => tab.setup("palimpsest", "palimpsest", shell));
  const script = shell === "bash" ? forAnyBash(made) : made;
  if (flags.json) writeJson({ schema: "palimpsest.completions/1", command: "completions", shell, script });
  else writeOut(script);
}

/**
 * The library's script calls a function of the package bash-completion, which small containers do not have, and cannot be read twice in one
 * shell, because of its constants.
 */
function forAnyBash(script: string): string {
  const splitter = `
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref() {
        local typed=\${COMP_LINE:0:COMP_POINT}
        read -ra words <<< "$typed"
        [[ $typed == *[[:space:]] ]] && words+=("")
        cword=$(( \${#words[@]} - 1 )) prev=
        cur=\${words[cword]}
    }
fi
`;
  return script.replace(/^readonly (?=ShellComp)/gm, "").replace("\n", splitter);
}

/** Answers a completion script: the words typed so far in, one candidate per line out. */
export async function complete(words: string[]): Promise<void> {
  const root = new RootCommand();
  const program = createProgram();
  const values = await dynamicValues(words);
  describe(root, program, "", values);
  for (const command of program.commands) {
    if (command.name() === "complete") continue;
    describe(root, command, command.name(), values);
    for (const inner of command.commands) describe(root, inner, `${command.name()} ${inner.name()}`, values);
  }
  const typed = words.at(-1) ?? "";
  const lines = captured(() => root.parse([...words]));
  // The library never lets the shell complete file names, but documents are files.
  const files = ["ask", "read", "chat", "summarize", "plan", "batch", "eval"].includes(words[0] ?? "") &&
    words.length > 1 &&
    !typed.startsWith("-");
  const none = lines.trim() === ":4";
  writeOut(files && none ? ":0\n" : lines);
}

function describe(
  root: RootCommand,
  command: CommandUnknownOpts,
  path: string,
  values: Map<string, Suggestions>,
): void {
  const target = path === "" ? root : root.command(path, command.summary() || command.description());
  for (const option of command.createHelp().visibleOptions(command)) {
    const name = option.long?.slice(2);
    if (!name) continue;
    const alias = option.short?.slice(1);
    const known = option.argChoices?.map((value) => ({ value, description: "" })) ?? values.get(name) ?? [];
    const takesValue = option.required || option.optional;
    const suggest = (complete: Suggest) => known.forEach((one) => complete(one.value, one.description));
    if (takesValue) target.option(name, option.description, suggest, alias);
    else target.option(name, option.description, alias);
  }
  for (const argument of command.registeredArguments) {
    const known = argument.argChoices?.map((value) => ({ value, description: "" })) ??
      values.get(`${path} ${argument.name()}`) ?? [];
    target.argument(
      argument.name(),
      (complete) => known.forEach((one) => complete(one.value, one.description)),
      argument.variadic,
    );
  }
}

/** Values that are known only when Tab is pressed; the policies need the library, so they are fetched where they are asked for. */
async function dynamicValues(words: string[]): Promise<Map<string, Suggestions>> {
  const stored = (await listStored(cacheFolder())).map((model) => ({ value: model.name, description: model.source }));
  const values = new Map<string, Suggestions>([
    ["model", stored],
    ["models rm name", stored],
    ["models path name", stored],
    ["pull model", registry.map((model) => ({ value: model.name, description: model.summary }))],
  ]);
  if (words[0] === "policies" || words.slice(-2).some((word) => word.startsWith("--policy"))) {
    const { policies } = await import("../mod.ts");
    const named = Object.entries(policies).map(([value, policy]) => ({ value, description: policy.summary }));
    values.set("policy", named).set("policies name", named);
  }
  return values;
}

/** The library prints with console.log; its words must go through our stdout. */
function captured(print: () => void): string {
  const log = console.log;
  let text = "";
  console.log = (line: string) => void (text += line + "\n");
  try {
    print();
  } catch (error) {
    throw new UsageError((error as Error).message);
  } finally {
    console.log = log;
  }
  return text;
}
