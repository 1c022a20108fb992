/** Puts figures into `core/measured.ts`, beside those that are there, and into the README's table of named policies. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Measured, measured, measuredCells } from "../core/measured.ts";
import { policies } from "../core/policies.ts";

const file = join(import.meta.dirname, "..", "core", "measured.ts");
const START = "export const measured: { [policy: string]: Measured } = {";

/** @param rows policies that have no name are left out */
export function writeMeasured(rows: { [policy: string]: Measured }): void {
  const lines = Object.keys(policies).flatMap((name) => {
    const { kl, cost } = measured[name] = rounded({ ...measured[name], ...rows[name] });
    const parts = [...(kl ? [`kl: [${kl.join(", ")}]`] : []), ...(cost === undefined ? [] : [`cost: ${cost}`])];
    return parts.length > 0 ? [`  ${/^\w+$/.test(name) ? name : `"${name}"`}: { ${parts.join(", ")} },`] : [];
  });
  const text = readFileSync(file, "utf8"), from = text.indexOf(START), to = text.indexOf("};", from) + 2;
  const empty = lines.length === 0 ? "" : `\n${lines.join("\n")}\n`;
  writeFileSync(file, `${text.slice(0, from)}${START}${empty}};${text.slice(to)}`);
  writeReadme();
}

function rounded({ kl, cost }: Measured): Measured {
  return {
    ...(kl ? { kl: [Number(kl[0].toPrecision(3)), Number(kl[1].toPrecision(3))] } : {}),
    ...(cost === undefined ? {} : { cost: Number(Math.max(0, cost).toFixed(3)) }),
  };
}

/** The last two cells of every named policy's row. */
function writeReadme(): void {
  const readme = join(import.meta.dirname, "..", "README.md"), text = readFileSync(readme, "utf8");
  const from = text.indexOf("### Named policies"), to = text.indexOf("### Stages and variants", from);
  const rows = text.slice(from, to).split("\n").map((line) => {
    const name = /^\| `([^`]+)` \|/.exec(line)?.[1];
    if (!name) return line;
    const { kl = "", cost = "" } = measuredCells(name);
    return `${line.split("|").slice(0, -3).join("|")}| ${kl} | ${cost} |`;
  });
  writeFileSync(readme, text.slice(0, from) + rows.join("\n") + text.slice(to));
}
