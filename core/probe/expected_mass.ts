/**
 * As `expected`, without the factor ‖v‖₂: the share of attention alone, for stages that weigh values themselves (kvpress asks for this under
 * CriticalKV).
 */
import type { Probe } from "../policy.ts";
import { expected } from "./expected.ts";

export const expectedMass = (): Probe => {
  const weighted = expected();
  return {
    ...weighted,
    name: "expected-mass",
    async look(context) {
      const score = (await weighted.look(context)).score!, { cache } = context, { headDim } = cache.shape;
      score.forEach((row, head) => {
        const values = cache.valueRows(head);
        for (let slot = 0, at = 0; slot < row.length; slot++) {
          let squares = 0;
          for (const end = at + headDim; at < end; at++) squares += values[at]! * values[at]!;
          if (squares > 0) row[slot]! /= Math.sqrt(squares);
        }
      });
      return { score };
    },
  };
};
