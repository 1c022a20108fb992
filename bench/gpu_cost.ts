/**
 * What policies cost on a GPU, on paper: dispatches, bytes and time of every kernel against the forward pass, for models and GPUs that need not be there.
 * The kernels are those that a real `GpuReading` records (`../kernels/reading/dry_gpu.ts`), their bytes those of the kernels' files (`gpu/traffic.ts`), the GPUs' numbers
 * their makers' (`gpu/shapes.ts`). Nothing is measured.
 *
 *   npm run gpu-cost -- [--models smollm2-1.7b,qwen3-4b] [--budgets 1024,8192] [--policies snapkv,question] [--question 30] [--chunk 512] [--kernels]
 *
 * `--chunk` as `ask` takes it by default. `--kernels` lists every kernel in place of every policy.
 */
import { parseArgs } from "node:util";
import { defaultChunk } from "../core/budget.ts";
import { parsePolicy, policies } from "../core/policies.ts";
import { isWide } from "../kernels/reading/plan.ts";
import { unsupportedOnGpu } from "../kernels/reading/supported.ts";
import type { Asked } from "../kernels/reading/dry_gpu.ts";
import { recordPolicy } from "./gpu/recorded.ts";
import { chips, models } from "./gpu/shapes.ts";
import { forward, forwardSeconds, launchSeconds } from "./gpu/time.ts";
import { type Slots, trafficOf } from "./gpu/traffic.ts";

const { values: flags } = parseArgs({
  options: {
    models: { type: "string", default: Object.keys(models).join(",") },
    budgets: { type: "string", default: "1024,8192" },
    policies: { type: "string", default: Object.keys(policies).filter((name) => name !== "full").join(",") },
    question: { type: "string", default: "30" },
    chunk: { type: "string" },
    kernels: { type: "boolean", default: false },
  },
});
const question = Number(flags.question), reserve = 300;
const configs = flags.models.split(",").map((name) => {
  const config = models[name];
  if (!config) throw new Error(`Unknown model ${name}: there are ${Object.keys(models).join(", ")}`);
  return config;
});
const columns = configs.flatMap((config) => flags.budgets.split(",").map((budget) => ({ config, budget: +budget })));
type Column = (typeof columns)[number];
const supported: string[] = [], missing: string[] = [];
for (const name of flags.policies.split(",")) {
  const why = unsupportedOnGpu(parsePolicy(name));
  (why ? missing : supported).push(why ? `${name} (${why})` : name);
}

const mega = (bytes: number) => bytes < 1e4 ? "0.0" : (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);
const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
const line = (cells: (string | number)[]) => console.log(`| ${cells.join(" | ")} |`);
const recorded = (column: Column, name: string) =>
  recordPolicy(column.config, parsePolicy(name), {
    budget: column.budget,
    chunkTokens: chunkOf(column),
    question,
    reserve,
    positions: "compact",
  });
const chunkOf = ({ config, budget }: Column) =>
  flags.chunk ? Number(flags.chunk) : defaultChunk("webgpu", { slots: budget }, config);
const slotsOf = ({ budget }: Column, live: number): Slots => ({ live, kept: budget, written: 0 });

/** Shares of a chunk's time: kernels alone, and with the passes of probes. */
function shares(column: Column, name: string, { launches, passes }: Asked, slots: Slots) {
  const { config, budget } = column, wide = isWide(parsePolicy(name));
  return chips.map((chip) => {
    const [chunk, ...probes] = passes.map((rows, i) =>
      forwardSeconds(forward(config, rows, i === 0 ? budget : slots.live, 0, wide), chip)
    );
    const kernels = sum(launches.map((launch) => launchSeconds(launch, slots, chip)));
    const all = kernels + sum(probes) + chunk!;
    return { kernels: kernels / all, both: (kernels + sum(probes)) / all, chunk: chunk! };
  });
}

async function policyTable(column: Column): Promise<void> {
  const { config, budget } = column, chunkTokens = chunkOf(column);
  const pass = forward(config, chunkTokens, budget, 0, false);
  const token = forward(config, 1, budget, 1, false);
  console.log(`\n### ${config.name}, ${budget} slots (cost model, not measured)\n`);
  console.log(
    `A chunk of ${chunkTokens}: ${pass.dispatches} dispatches, ${mega(pass.bytes)} MB, ` +
      `${(pass.operations / 1e9).toFixed(0)} billion operations` +
      chips.map((chip) => `, ${(1e3 * forwardSeconds(pass, chip)).toFixed(1)} ms on ${chip.name}`).join("") +
      `. A written token: ${token.dispatches} dispatches, ${mega(token.bytes)} MB` +
      chips.map((chip) => `, ${(1e3 * forwardSeconds(token, chip)).toFixed(1)} ms on ${chip.name}`).join("") + ".\n",
  );
  line([
    "policy",
    "dispatches per chunk",
    "MB",
    "billion operations",
    "probe rows",
    ...chips.flatMap(({ name }) => [`kernels' share, ${name}`, "with probe passes"]),
    "per token",
    "bytes back",
  ]);
  line(["---", ...Array.from({ length: 6 + 2 * chips.length }, () => "---:")]);
  for (const name of supported) {
    const { chunk, token, live } = await recorded(column, name), slots = slotsOf(column, live);
    const traffic = chunk.launches.map((launch) => trafficOf(launch, slots));
    line([
      `\`${name}\``,
      chunk.launches.length,
      mega(sum(traffic.map(({ bytes }) => bytes))),
      (sum(traffic.map(({ operations }) => operations)) / 1e9).toFixed(1),
      sum(chunk.passes.slice(1)),
      ...shares(column, name, chunk, slots).flatMap(({ kernels, both }) => [percent(kernels), percent(both)]),
      token.launches.length,
      chunk.readBack,
    ]);
  }
}

interface KernelRow {
  policy: string;
  cells: { launches: number; bytes: number; operations: number; seconds: number[] }[];
}

/** Every kernel as the first policy that records it does. */
async function kernelTable(): Promise<void> {
  const rows = new Map<string, KernelRow>();
  for (const name of supported) {
    const found = await Promise.all(columns.map(async (column) => ({ column, ...await recorded(column, name) })));
    for (const kernel of new Set(found.flatMap(({ chunk }) => chunk.launches.map(({ name }) => name)))) {
      if (rows.has(kernel)) continue;
      const cells = found.map(({ column, chunk, live }) => {
        const launches = chunk.launches.filter(({ name }) => name === kernel), slots = slotsOf(column, live);
        const traffic = launches.map((launch) => trafficOf(launch, slots));
        return {
          launches: launches.length,
          bytes: sum(traffic.map(({ bytes }) => bytes)),
          operations: sum(traffic.map(({ operations }) => operations)),
          seconds: chips.map((chip) => sum(launches.map((launch) => launchSeconds(launch, slots, chip)))),
        };
      });
      rows.set(kernel, { policy: name, cells });
    }
  }
  console.log(
    "\n### Every kernel, per chunk: dispatches, MB, billion operations, ms on each GPU (cost model, not measured)\n",
  );
  console.log(`GPUs in this order: ${chips.map(({ name }) => name).join(", ")}. Per written token: none of these.\n`);
  line(["kernel", "as in", ...columns.map(({ config, budget }) => `${config.name}, ${budget}`)]);
  line(["---", "---", ...columns.map(() => "---:")]);
  for (const [kernel, { policy, cells }] of rows) {
    line([
      `\`${kernel}\``,
      `\`${policy}\``,
      ...cells.map(({ launches, bytes, operations, seconds }) =>
        `${launches}; ${mega(bytes)}; ${(operations / 1e9).toFixed(1)}; ${
          seconds.map((s) => (1e3 * s).toFixed(2)).join(" / ")
        }`
      ),
    ]);
  }
}

console.log(
  `Cost model, not measured: question ${question}, compact positions, weights of 4 bits, f32.`,
);
if (missing.length > 0) console.log(`No form on a GPU yet: ${missing.join(", ")}.`);
if (flags.kernels) await kernelTable();
else for (const column of columns) await policyTable(column);
