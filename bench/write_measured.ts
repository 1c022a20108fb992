/** Puts figures into `core/measured.ts`, beside those that are there. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Measured, measured } from "../core/measured.ts";
import { policies } from "../core/policies.ts";

const file = join(import.meta.dirname, "..", "core", "measured.ts");
const START = "export const measured: { [policy: string]: Measured } = {";

/** @param rows policies that have no name are left out */
export function writeMeasured(rows: { [policy: string]: Measured }): void {
  const lines = Object.keys(policies).flatMap((name) => {
    const { kl, cost } = { ...measured[name], ...rows[name] };
    const parts = [
      ...(kl ? [`kl: [${kl.map((value) => Number(value.toPrecision(3))).join(", ")}]`] : []),
      ...(cost === undefined ? [] : [`cost: ${Number(Math.max(0, cost).toFixed(3))}`]),
    ];
    return parts.length > 0 ? [`  ${/^\w+$/.test(name) ? name : `"${name}"`}: { ${parts.join(", ")} },`] : [];
  });
  const text = readFileSync(file, "utf8"), from = text.indexOf(START), to = text.indexOf("};", from) + 2;
  const empty = lines.length === 0 ? "" : `\n${lines.join("\n")}\n`;
  writeFileSync(file, `${text.slice(0, from)}${START}${empty}};${text.slice(to)}`);
}
