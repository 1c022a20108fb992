/** Evicted slots leave nothing behind. */
import type { Compensate } from "../policy.ts";

export const drop = (): Compensate => ({ name: "drop", apply: ({ keep }) => keep });
