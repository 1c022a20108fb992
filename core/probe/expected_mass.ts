/**
 * As `expected`, without the factor ‖v‖₂: the share of attention alone, for stages that weigh values themselves (kvpress asks for this under
 * CriticalKV).
 */
import type { Probe } from "../policy.ts";
import { expected } from "./expected.ts";

export const expectedMass = (): Probe => expected(undefined, undefined, false);
