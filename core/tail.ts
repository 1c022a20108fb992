/** The end of a prompt: passages that are read again, the question, the start of the answer. Up to where decoding begins. */
import type { Passage } from "./policy.ts";
import type { DocumentPlace, Reading } from "./reading.ts";
import type { RecalledPassage } from "./record.ts";
import { passageBlock, passageText } from "./text/passages.ts";
import { Places } from "./text/places.ts";
import { type PromptRequest, renderPrompt } from "./text/prompt.ts";
import type { Tokenizer } from "./text/tokenizer.ts";

export interface TailRequest extends PromptRequest {
  /** First words of the answer. */
  opening?: string | undefined;
}

/** Tokens of the question as the document's reader meets it, without the template around it: what the `question` probe asks with. */
export function questionTokens(tokenizer: Tokenizer, instruction: string): number[] {
  return tokenizer.encode(`\n\n${instruction}`, { control: false });
}

/** Tokens with which an answer would begin, whatever the question: the end of the user's turn and the start of the assistant's. */
export function answerTokens(tokenizer: Tokenizer, request: TailRequest): number[] {
  return plainTail(tokenizer, { ...request, instruction: "" });
}

/** The tail without passages. */
export function plainTail(tokenizer: Tokenizer, request: TailRequest): number[] {
  return [
    ...tokenizer.encode(renderPrompt(tokenizer, request).tail, { control: true }),
    ...tokenizer.encode(request.opening ?? "", { control: false }),
  ];
}

/** Where a passage begins, and what it says. */
function recorded(
  tokenizer: Tokenizer,
  passage: Passage,
  { first, end }: DocumentPlace,
  places: Places,
): RecalledPassage {
  const pieces = passage.pieces, { from } = pieces[0]!, last = pieces.at(-1)!;
  // a passage belongs where its middle is: it is wider than what it was found by
  const middle = Math.floor((from + last.from + last.tokens.length - 1) / 2);
  return { at: (from - first) / (end - first), ...places.at(middle), text: passageText(tokenizer, passage) };
}

/** Passages that a text looks at most in memory, the best one first. @param document its place in the prompt */
export async function attended(
  reader: Pick<Reading, "cite">,
  tokenizer: Tokenizer,
  text: string,
  document: DocumentPlace,
  places: Places,
): Promise<RecalledPassage[]> {
  const found = await reader.cite(tokenizer.encode(text, { control: false }), document);
  return found.map((passage) => recorded(tokenizer, passage, document, places)).reverse();
}

export interface Tail {
  tokens: number[];
  /** What is read again in it, the best one last. */
  passages: RecalledPassage[];
}

/** The tail with the passages that the reader's policy recalls: as many as its reserve holds, the best one as long as there is any. */
export async function recalledTail(
  reader: Pick<Reading, "policy" | "recall" | "tokensRead">,
  tokenizer: Tokenizer,
  request: TailRequest,
  headTokens: number,
  places = new Places(),
): Promise<Tail> {
  // the first words of the answer ask too: what follows on them in the text is what is wanted
  const asking = [
    ...questionTokens(tokenizer, request.instruction),
    ...tokenizer.encode(request.opening ? `\n\n${request.opening}` : "", { control: false }),
  ];
  const document = { first: headTokens, end: reader.tokensRead };
  const passages = (await reader.recall(asking, document)).map((passage) =>
    recorded(tokenizer, passage, document, places)
  );
  return tailWith(tokenizer, request, passages, reader.policy.recall.tokens);
}

/**
 * The tail with passages before it, as many as there is room for.
 * @param passages the best one last; the first ones go where they are too many
 * @param room in tokens
 */
export function tailWith(
  tokenizer: Tokenizer,
  request: TailRequest,
  passages: RecalledPassage[],
  room: number,
): Tail {
  const tail = plainTail(tokenizer, request);
  for (; passages.length > 0; passages = passages.slice(1)) {
    // words of the document, so they never spell control tokens
    const block = tokenizer.encode(passageBlock(passages.map(({ text }) => text)), { control: false });
    if (block.length <= room) return { tokens: [...block, ...tail], passages };
  }
  return { tokens: tail, passages };
}
