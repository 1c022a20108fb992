/** All vectors of a golden folder, in the order of its README. */
import { fixtureVectors } from "./fixtures.ts";
import { modelVectors } from "./models.ts";
import { policyVectors } from "./policies.ts";
import { realVectors } from "./real.ts";
import type { Vector } from "./report.ts";

export async function allVectors(root: string): Promise<Vector[]> {
  return [
    ...await modelVectors(root),
    ...await policyVectors(root),
    ...await fixtureVectors(root),
    ...await realVectors(root),
  ];
}
