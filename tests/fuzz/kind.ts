/** One kind of input: how it is made, and what opens it. */
import type { Random } from "./random.ts";

export interface Kind {
  name: string;
  /** How many of a hundred inputs. */
  share: number;
  /** Exit codes of errors that such an input may meet. */
  codes: readonly number[];
  /** Made once in each process. */
  prepare(folder: string): Promise<Try>;
}

/**
 * Makes an input and opens it as the tool would.
 * @param input its number, which decides over `random` already
 * @returns whether it could be used
 * @throws {PalimpsestError} where it is refused; anything else is a finding
 */
export type Try = (random: Random, input: number) => Promise<boolean>;

/** What an input should have done, and did not. */
export class Wrong extends Error {
  override name = "Wrong";
}
