/** `palimpsest policies`: every policy with its stages and its paper. */
import { columns } from "./models.ts";
import { writeJson, writeOut } from "./output.ts";

/** Lists the policies. */
export async function listPolicies(flags: { json?: boolean | undefined }): Promise<void> {
  const { policies } = await import("../mod.ts");
  const list = Object.entries(policies).map(([name, policy]) => ({ name, ...policy }));
  if (flags.json) return writeJson({ schema: "palimpsest.policies/1", command: "policies", policies: list });
  writeOut(columns(list.map((policy) => [policy.name, policy.summary])));
  writeOut(
    "\n" +
      columns(list.map(({ name, paper, needs, cost }) => [name, `paper: ${paper}; needs: ${needs}; cost: ${cost}`])),
  );
}
