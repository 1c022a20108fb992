/**
 * `npm run golden [-- WORD...]`: runs every reference vector of GOLDEN_DIR, else of `fixtures/golden`, or those whose
 * name has one of the words. Exit 1 when one fails, or when there is none.
 */
import { resolve } from "node:path";
import process from "node:process";
import { Report } from "./golden/report.ts";
import { allVectors } from "./golden/vectors.ts";
import { fixture } from "./host.ts";

const root = process.env["GOLDEN_DIR"] ? resolve(process.env["GOLDEN_DIR"]) : fixture("golden");
const words = process.argv.slice(2);
const report = new Report((line) => console.log(line));
console.log(`golden vectors of ${root}`);
const vectors = (await allVectors(root)).filter(({ name }) =>
  words.length === 0 || words.some((word) => name.includes(word))
);
for (const vector of vectors) await report.run(vector);
if (vectors.length === 0) {
  console.log("there are none: GOLDEN_DIR takes a folder with models/, policies/, fixtures/, real/");
}
console.log(report.summary());
if (report.failed > 0 || vectors.length === 0) process.exitCode = 1;
