/** THE STORY: documents go in, one chunk at a time, the memory stays as large as it was, and an answer comes out. */
import { decode } from "./decode/write.ts";
import { writingRoom } from "./decode/room.ts";
import { throwIfAborted, UsageError } from "./errors.ts";
import { mapReduce } from "./map_reduce.ts";
import type { AnswerRequest } from "./answer_request.ts";
import { chunkTokensOf, clampWarning, openMemory } from "./memory.ts";
import type { LoadedModel } from "./model.ts";
import { Notes, tidy } from "./notes.ts";
import { parsePolicy } from "./policies.ts";
import { read } from "./read.ts";
import type { AnswerEvent } from "./record.ts";
import { answerRecord, refuseUncited, respond, VERIFY_TOKENS } from "./respond.ts";
import { plainTail, questionTokens } from "./tail.ts";
import type { Source } from "./text/document.ts";

/**
 * Reads the sources and answers.
 * @throws {BudgetError} when the budget is unusable, or something would be evicted under `full` or `strict`
 * @throws {UsageError} when the model was opened for a policy that needs less of the graph, or the policy needs a question that is not known
 * @throws {InputError} for an empty or unreadable document
 * @throws {InterruptedError} when the signal aborts
 */
export async function* answer(model: LoadedModel, request: AnswerRequest): AsyncGenerator<AnswerEvent> {
  const policy = parsePolicy(request.policy), { tokenizer } = model;
  const { strategy = "stream", sources } = request;
  if (strategy === "map-reduce") return yield* mapReduce(model, request);
  const verify = strategy === "stream+verify";
  if (verify) refuseUnrepeatable(sources);
  if (request.cite) refuseUncited(policy, sources);
  const tail = plainTail(tokenizer, request);
  using memory = await openMemory(model, request, {
    // a second answer's passages go where a chunk would, which is free when all is read
    tailTokens: tail.length + (verify ? Math.max(0, VERIFY_TOKENS - chunkTokensOf(model, request)) : 0),
    writing: writingRoom(policy, { ...request, noteTokens: request.notes?.tokens }),
    questionTokens: request.questionKnown === false ? [] : questionTokens(tokenizer, request.instruction),
    opening: request.opening,
    documentBytes: sources.reduce((sum, source) => sum + (source.size ?? Infinity), 0),
  });
  const warning = clampWarning(memory);
  if (warning) yield { type: "warning", message: warning };

  const { reader } = memory, notes = request.notes ? new Notes(request.notes.wanted, memory.budget.slots) : null;
  const noting = { tokens: 0, ms: 0 };
  const whileWhole = async (last: boolean) => {
    const to = reader.tokensRead;
    // a document that fits is summarised as a whole
    const single = last && notes?.stretchStart === 0 && reader.compactions === 0 && to <= memory.budget.slots;
    if (notes?.due(to, last) && !single) notes.add(to, await reader.aside(notes.stretchStart, takeNote));
  };
  yield* read(memory, sources, { ...request, whileWhole });
  memory.spent.ms -= noting.ms;

  const noted = notes?.distinct() ?? [];
  if (noted.length === 0) {
    yield* respond(memory, { ...request, verify, documents: sources }, noting);
    return;
  }
  const whole = noted.map(({ text }) => `- ${text}`).join("\n"), coverage = await reader.coverage(memory.head.length);
  yield { type: "text", text: whole };
  yield { type: "result", record: answerRecord(memory, request, { whole, coverage, decoded: noting }) };

  async function takeNote(): Promise<string> {
    const noteStarted = performance.now();
    let text = "", tokens = 0;
    for await (const step of decode(reader, tokenizer, tail, request.notes!.tokens)) {
      throwIfAborted(request.signal);
      text += step.text;
      tokens = step.tokens;
    }
    noting.tokens += tokens;
    noting.ms += performance.now() - noteStarted;
    return tidy(text); // a list item needs no opening
  }
}

/** @throws {UsageError} for a document that cannot be read again */
export function refuseUnrepeatable(sources: readonly Source[]): void {
  const gone = sources.find(({ repeatable }) => !repeatable);
  if (!gone) return;
  throw new UsageError(
    `--strategy stream+verify reads passages of the document again, and ${gone.name} can be read only once: save it in a file first`,
  );
}
