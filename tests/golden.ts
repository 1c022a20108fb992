/**
 * `npm run golden [-- WORD...]`: runs every reference vector of GOLDEN_DIR, else of `fixtures/golden`, or those whose
 * name has one of the words, on the device that PALIMPSEST_DEVICE names: cpu, or webgpu, a software adapter too.
 * Exit 1 when one fails, or when there is none.
 */
import { resolve } from "node:path";
import process from "node:process";
import type { PalimpsestError } from "../core/errors.ts";
import { openDevice } from "./golden/devices.ts";
import { Report } from "./golden/report.ts";
import { allVectors } from "./golden/vectors.ts";
import { fixture } from "./host.ts";

const root = process.env["GOLDEN_DIR"] ? resolve(process.env["GOLDEN_DIR"]) : fixture("golden");
const words = process.argv.slice(2);
const report = new Report((line) => console.log(line));
const device = await openDevice(process.env["PALIMPSEST_DEVICE"] || "cpu").catch((error: PalimpsestError) => {
  console.log(error.message);
  process.exit(error.code);
});
console.log(`golden vectors of ${root} on ${device.name}`);
const vectors = (await allVectors(root, device)).filter(({ name }) =>
  words.length === 0 || words.some((word) => name.includes(word))
);
for (const vector of vectors) await report.run(vector);
if (vectors.length === 0) {
  console.log("there are none: GOLDEN_DIR takes a folder with models/, policies/, fixtures/, real/");
}
console.log(report.summary());
await device.close();
// drivers may keep a process alive
process.exit(report.failed > 0 || vectors.length === 0 ? 1 : 0);
