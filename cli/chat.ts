/** `palimpsest chat`: one question after the other about a memory that was read once. A terminal gets a prompt and line editing; a pipe a question a line. */
import { createInterface, type Interface } from "node:readline";
import process from "node:process";
import { citations } from "../core/cite.ts";
import { respond } from "../core/respond.ts";
import { InterruptedError, UsageError } from "../core/errors.ts";
import { bookmark } from "../core/state/bookmark.ts";
import type { KeptMemory } from "../core/state/memory.ts";
import { plainTail } from "../core/tail.ts";
import type { Turn } from "../core/text/prompt.ts";
import { MAX_TOKENS } from "./options.ts";
import { asked } from "./ask_state.ts";
import type { Source } from "../core/text/document.ts";
import { openDocuments } from "./documents.ts";
import { describeFailure } from "./exit.ts";
import { openEmpty, readInto } from "./kept.ts";
import { readableBytes, readableCount } from "./numbers.ts";
import { isTerminal, printable, refuseClosedStdout, writeErr, writeStyled } from "./output.ts";
import { stillThere } from "./read_again.ts";
import { createRenderer, type Renderer } from "./render.ts";
import { named, printAnswer, type RunFlags } from "./run.ts";
import type { Given } from "./given.ts";
import { refuseDocuments, refuseFixed, withMemoryOf } from "./state.ts";

export interface ChatFlags extends RunFlags {
  state?: string;
}

/** Tokens of earlier questions and answers that the next question still sees; the oldest go first. */
const HISTORY_TOKENS = 1024;

const HELP = `Ask anything about the documents. Each question sees the ones before it and their answers.

/help      this
/sources   what was read
/cite      where the last answer came from
/history   what was asked and answered
/clear     forget what was asked
/quit      end (Ctrl-D does the same)

Ctrl-C stops an answer, and on an empty line the session.
`;

/** @param names documents, where there is no state @param given flags of the command line */
export async function chat(names: string[], flags: ChatFlags, given: Given): Promise<void> {
  if (flags.json) {
    throw new UsageError("chat has no --json: ask --state FILE --questions FILE prints an object for every answer");
  }
  if (flags.state === undefined && names.length === 0) {
    throw new UsageError("What to talk about is missing: palimpsest chat book.txt, or chat --state book.pal");
  }
  if (flags.state !== undefined) refuseDocuments(names, flags.state);
  if (names.includes("-")) throw new UsageError("stdin (-) holds the questions, so documents are files");
  refuseClosedStdout();
  const renderer = createRenderer(flags);
  if (flags.state === undefined) {
    const sources = await openDocuments(names, renderer.remark);
    const { model, memory } = await openEmpty(
      { ...flags, maxTokens: HISTORY_TOKENS + (flags.maxTokens ?? MAX_TOKENS) },
      "chat",
      renderer,
    );
    try {
      await readInto(memory, sources, flags, renderer);
      await talk(memory, sources, flags, renderer);
    } finally {
      memory[Symbol.dispose]();
      await model.close();
    }
    return;
  }
  refuseFixed(given, flags.state);
  const rooms = { tailTokens: HISTORY_TOKENS + 256, maxTokens: flags.maxTokens ?? MAX_TOKENS };
  const opening = { flags, given, command: "chat", renderer };
  await withMemoryOf(flags.state, opening, () => rooms, async (memory) => {
    await talk(memory, await stillThere(memory.sources, renderer.remark), flags, renderer);
  });
}

async function talk(memory: KeptMemory, documents: Source[], flags: ChatFlags, renderer: Renderer): Promise<void> {
  const terminal = process.stdin.isTTY === true && isTerminal.stdout();
  const lines = createInterface({
    input: process.stdin,
    ...(terminal ? { output: process.stdout, prompt: "› ", historySize: 500, removeHistoryDuplicates: true } : {}),
    terminal,
  });
  if (terminal) {
    const tokens = memory.sources.reduce((sum, source) => sum + source.tokens, 0);
    writeErr(`${readableCount(tokens)} tokens read. Ask, or /help\n`);
  }
  const session = new Session(memory, documents, flags, renderer, terminal ? lines : null);
  lines.on("SIGINT", () => session.interrupt());
  if (terminal) lines.prompt();
  for await (const line of lines) {
    if (!await session.hear(line.trim())) break;
    if (terminal) lines.prompt();
  }
  lines.close();
  if (terminal) writeErr("\n");
}

/** What was said so far, and how a line is answered. */
class Session {
  private readonly turns: Turn[] = [];
  private answering: AbortController | null = null;

  /** @param lines of a terminal; null for a pipe */
  constructor(
    private readonly memory: KeptMemory,
    private readonly documents: Source[],
    private readonly flags: ChatFlags,
    private readonly renderer: Renderer,
    private readonly lines: Interface | null,
  ) {}

  /** Ctrl-C: stops the answer, clears the line, or ends the session where there is neither. */
  interrupt(): void {
    if (this.answering) this.answering.abort(new InterruptedError("Interrupted"));
    else if (this.lines && this.lines.line !== "") {
      writeStyled("\n");
      this.lines.write(null, { ctrl: true, name: "u" });
      this.lines.prompt();
    } else this.lines?.close();
  }

  /** @returns whether the session goes on */
  async hear(line: string): Promise<boolean> {
    if (line === "") return true;
    if (!line.startsWith("/")) {
      await this.answer(line);
      return true;
    }
    switch (line.slice(1).split(/\s/)[0]) {
      case "quit":
      case "exit":
        return false;
      case "help":
        writeErr(HELP);
        return true;
      case "sources":
        this.showSources();
        return true;
      case "cite":
        await this.showPassages();
        return true;
      case "history":
        for (const { question, answer } of this.turns) writeErr(printable(`› ${question}\n${answer}\n`));
        if (this.turns.length === 0) writeErr("Nothing was asked yet\n");
        return true;
      case "clear":
        this.turns.length = 0;
        writeErr("Forgotten\n");
        return true;
      default:
        writeErr(`There is no ${printable(line.split(/\s/)[0]!)}: /help lists what there is\n`);
        return true;
    }
  }

  private async answer(question: string): Promise<void> {
    const { memory, flags, renderer } = this, forget = bookmark(memory.reader);
    this.answering = new AbortController();
    try {
      this.dropOldest(question);
      const { signal } = this.answering;
      const events = respond(memory, { ...asked(question, flags), turns: this.turns, signal });
      const { answer } = await printAnswer(named(events, memory.model.name), renderer, false);
      this.turns.push({ question, answer });
    } catch (error) {
      survive(error);
    } finally {
      this.answering = null;
      forget();
      Object.assign(memory.spent, { tokens: 0, ms: 0 });
    }
  }

  /** The oldest turns go where the rest would not fit into what is set aside for them. */
  private dropOldest(question: string): void {
    const { memory: { model: { tokenizer }, system }, turns } = this;
    const length = () => plainTail(tokenizer, { system, instruction: question, turns }).length;
    while (turns.length > 0 && length() > HISTORY_TOKENS) turns.shift();
    if (length() > HISTORY_TOKENS + 256) {
      throw new UsageError(`The question has ${length()} tokens, where ${HISTORY_TOKENS} fit: make it shorter`);
    }
  }

  private showSources(): void {
    for (const { name, type, bytes, tokens } of this.memory.sources) {
      writeErr(printable(`${name}: ${type}, ${readableBytes(bytes)}, ${readableCount(tokens)} tokens\n`));
    }
  }

  private async showPassages(): Promise<void> {
    const last = this.turns.at(-1);
    if (!last) return writeErr("Nothing was asked yet\n");
    const { memory, documents } = this, document = { first: memory.head.length, end: memory.reader.tokensRead };
    const answered = { instruction: last.question, answer: last.answer };
    try {
      this.renderer.citations(await citations(memory, answered, document, documents));
    } catch (error) {
      survive(error);
    }
  }
}

/** The session outlives one answer, but not a broken program. */
function survive(error: unknown): void {
  const { code, message } = describeFailure(error);
  if (code === 1) throw error;
  writeErr(error instanceof InterruptedError ? "" : `palimpsest: ${printable(message)}\n`);
}
