/** Questions to a memory that is kept: one to a saved state, or a file of them to one or to documents that are read once. */
import { type Question, refuseUncited, respond } from "../core/respond.ts";
import { InputError, InterruptedError, PalimpsestError, UsageError } from "../core/errors.ts";
import type { EngineModel } from "../core/model.ts";
import type { AnswerRecord } from "../core/record.ts";
import { bookmark } from "../core/state/bookmark.ts";
import type { KeptMemory, StateSummary } from "../core/state/memory.ts";
import { plainTail } from "../core/tail.ts";
import type { Source } from "../core/text/document.ts";
import type { AskFlags } from "./ask.ts";
import { wholeText } from "./documents.ts";
import { describeFailure } from "./exit.ts";
import { emptyTrace } from "../core/report/trace.ts";
import { peakRssBytes } from "./host.ts";
import { openEmpty, readInto } from "./kept.ts";
import { MAX_TOKENS } from "./options.ts";
import { writeOut } from "./output.ts";
import { stillThere } from "./read_again.ts";
import { createRenderer, type Renderer } from "./render.ts";
import { named, printAnswer } from "./run.ts";
import { breathe, interruption } from "./signals.ts";
import type { Given } from "./given.ts";
import { withMemoryOf } from "./state.ts";

/** @param question null for those of `--questions` */
export async function askState(path: string, question: string | null, flags: AskFlags, given: Given): Promise<void> {
  const renderer = createRenderer(flags);
  const questions = question === null ? await readQuestions(flags.questions!, renderer.remark) : [question];
  const roomsOf = ({ tokenizer }: EngineModel, { settings }: StateSummary) => {
    const system = settings.system ?? undefined;
    const lengths = questions.map((instruction) => plainTail(tokenizer, { system, instruction }).length);
    return { tailTokens: lengths.reduce((a, b) => Math.max(a, b), 0), maxTokens: flags.maxTokens ?? MAX_TOKENS };
  };
  await withMemoryOf(path, { flags, given, command: "ask --state", renderer }, roomsOf, async (memory) => {
    if (question === null) {
      const documents = flags.cite ? await stillThere(memory.sources, renderer.remark) : [];
      if (flags.cite) refuseUncited(memory.policy, documents);
      return await answerEach(memory, questions, documents, flags, renderer);
    }
    const trace = flags.report === undefined ? undefined : emptyTrace();
    const cites = flags.cite || trace !== undefined;
    const documents = cites ? await stillThere(memory.sources, renderer.remark) : [];
    const events = respond(memory, { ...asked(question, flags), trace, documents });
    const record = await printAnswer(events, renderer, flags.json ?? false);
    if (!trace) return;
    const { writeReport } = await import("./report.ts"), { tokenizer } = memory.model;
    await writeReport(flags.report!, { record, question, trace, tokenizer });
  });
}

/** So many characters of questions are asked with in every chunk; more would take longer than the chunk. */
const MOST_KNOWN = 2000;

/** Reads documents once, with all questions in mind unless they are too many, and answers each. */
export async function askEach(sources: Source[], flags: AskFlags): Promise<void> {
  const renderer = createRenderer(flags), questions = await readQuestions(flags.questions!, renderer.remark);
  const { model, memory } = await openEmpty(
    flags,
    "ask --questions",
    renderer,
    questions.join("\n\n").length <= MOST_KNOWN ? questions : [],
  );
  try {
    await refuseLong(questions, memory, model);
    if (flags.cite) refuseUncited(memory.policy, sources);
    await readInto(memory, sources, flags, renderer);
    await answerEach(memory, questions, sources, flags, renderer);
  } finally {
    memory[Symbol.dispose]();
    await model.close();
  }
}

/** A line of JSON for every question, as soon as it is answered: each is asked as if it were the only one. */
async function answerEach(
  memory: KeptMemory,
  questions: string[],
  documents: Source[],
  flags: AskFlags,
  renderer: Renderer,
): Promise<void> {
  for (const question of questions) {
    const forget = bookmark(memory.reader);
    try {
      let record: AnswerRecord | undefined;
      for await (const event of named(respond(memory, { ...asked(question, flags), documents }), memory.model.name)) {
        if (event.type === "result") record = event.record;
        await breathe();
      }
      interruption.throwIfAborted();
      writeOut(JSON.stringify({ question, ...record }) + "\n");
    } catch (error) {
      if (error instanceof InterruptedError || !(error instanceof PalimpsestError)) throw error;
      const { code, message } = describeFailure(error);
      writeOut(JSON.stringify({ question, schema: "palimpsest.error/1", code, message }) + "\n");
    } finally {
      forget();
    }
    renderer.status(question);
    // what reading took is told once
    Object.assign(memory.spent, { tokens: 0, ms: 0 });
  }
  renderer.clear();
}

export const asked = (instruction: string, flags: AskFlags): Question => ({
  command: "ask",
  instruction,
  maxTokens: flags.maxTokens ?? MAX_TOKENS,
  cite: flags.cite ?? false,
  peakRssBytes,
  signal: interruption,
});

/** @throws {InputError} when the file cannot be read or holds none */
async function readQuestions(path: string, onRemark: (message: string) => void): Promise<string[]> {
  const text = await wholeText(path, "file of questions, one on each line", onRemark);
  const questions = text.split(/\r?\n/).map((line) => line.trim()).filter((line) => line !== "");
  if (questions.length === 0) {
    throw new InputError(`${path === "-" ? "stdin" : path} holds no question: one on each line works`);
  }
  return questions;
}

/** A question beyond the room is told before minutes go into reading. */
async function refuseLong(
  questions: string[],
  { settings, system }: KeptMemory,
  { tokenizer }: EngineModel,
): Promise<void> {
  for (const instruction of questions) {
    const { length } = plainTail(tokenizer, { system, instruction });
    if (length <= settings.tailTokens) continue;
    throw new UsageError(
      `The question "${
        instruction.slice(0, 40)
      }…" takes ${length} tokens, where ${settings.tailTokens} are set aside: make it shorter`,
    );
  }
}
