/** Inputs that do all that must not be: so that the fuzzer is known to see it. */
import process from "node:process";
import { ModelError } from "../../core/errors.ts";
import type { Kind } from "./kind.ts";

/** What the inputs do, by their numbers. */
export const FAULTS: readonly (() => boolean)[] = [
  () => true,
  () => {
    throw new ModelError("A sentence");
  },
  () => (undefined as any).length,
  () => {
    throw new ModelError("x".repeat(5000));
  },
  () => {
    throw new ModelError("undefined is not an object (evaluating 'a.b')");
  },
  () => {
    while (true);
  },
  () => process.kill(process.pid, "SIGSEGV"),
  () => new Uint8Array(450e6).fill(1).length > 0,
  () => true,
];

export const faults: Kind = {
  name: "faults",
  share: 0,
  codes: [5],
  prepare: () => Promise.resolve((_, input) => Promise.resolve(FAULTS[input]!())),
};
