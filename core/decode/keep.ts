/** Everything that is written stays; the reserve holds it all. */
import type { DecodePolicy } from "../policy.ts";

export const keep = (): DecodePolicy => ({ name: "keep", evicts: false });
