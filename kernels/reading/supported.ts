/** Which policies can run on a GPU: those whose every variant has a form there. */
import type { Policy } from "../../core/policy.ts";
import { aggregateForms } from "./aggregate.ts";
import { allocateForms } from "./allocate.ts";
import { compensateForms } from "./compensate.ts";
import { decodeForms } from "./decode.ts";
import { probeForm } from "./probe.ts";
import { selectForms } from "./select.ts";

/** What of a policy has no form on a GPU yet, as users spell it; null where all has. */
export function unsupportedOnGpu(policy: Policy): string | null {
  if (!policy.evicts) return null;
  if (!probeForm(policy.probe.name)) return `probe=${policy.probe.name}`;
  const forms = {
    aggregate: aggregateForms,
    allocate: allocateForms,
    select: selectForms,
    compensate: compensateForms,
  };
  for (const [stage, known] of Object.entries(forms)) {
    const { name } = policy[stage as keyof typeof forms];
    if (!Object.hasOwn(known, name)) return `${stage}=${name}`;
  }
  if (policy.decode.evicts && !Object.hasOwn(decodeForms, policy.decode.name)) return `decode=${policy.decode.name}`;
  return null;
}
