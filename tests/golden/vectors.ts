/** All vectors of a golden folder, in the order of its README. */
import { cpu } from "./cpu/device.ts";
import type { GoldenDevice } from "./device.ts";
import { fixtureVectors } from "./fixtures.ts";
import { modelVectors } from "./models.ts";
import { policyVectors } from "./policies.ts";
import { realVectors } from "./real.ts";
import type { Vector } from "./report.ts";

export async function allVectors(root: string, device: GoldenDevice = cpu): Promise<Vector[]> {
  return [
    ...await modelVectors(root, device),
    ...await policyVectors(root, device),
    ...await fixtureVectors(root, device),
    ...await realVectors(root, device),
  ];
}
