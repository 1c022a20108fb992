/** `policies/<architecture>`: one compression after the whole prompt, through the pipeline's own stages set as the vector's `params` say. */
import { join } from "node:path";
import { mean } from "../../core/aggregate/mean.ts";
import { none as unpooled } from "../../core/aggregate/none.ts";
import type { KvCache } from "../../core/cache.ts";
import { compact } from "../../core/compact.ts";
import type { Engine, PassResult } from "../../core/engine/engine.ts";
import type { ProbeContext, Scores } from "../../core/policy.ts";
import { none as place } from "../../core/probe/none.ts";
import { window } from "../../core/probe/window.ts";
import { Rope } from "../../core/rope.ts";
import { topk } from "../../core/select/topk.ts";
import { cacheFor, decode, forward } from "./forward.ts";
import { type Arrays, isSupported, list, readArrays, readJson, using } from "./open.ts";
import { type Check, close, closeRelative, equal, notYet, type Vector } from "./report.ts";

const SCORES = 5e-5, LOGITS = 5e-4, ROWS = 2e-4;

interface PolicyFile {
  file: string;
  policy: string;
  ratio: number;
  params: Record<string, unknown>;
  n_kept_per_layer_head: number[][];
  score_key: string;
  decode_start: number;
}

interface Manifest {
  model: string;
  prompt_ids: number[];
  decode_ids: number[];
  files: PolicyFile[];
  kv_layers: number[];
}

/** One policy folder, as its vectors share it. */
interface Folder {
  path: string;
  model: string;
  manifest: Manifest;
}

/** What our stages compute, and the parameters that they take. Anything else in `params` would be ignored, so it is refused. */
const scorers: Record<string, string[]> = { snapkv: ["window", "kernel"], streaming_llm: ["n_sink"] };

export async function policyVectors(root: string): Promise<Vector[]> {
  const vectors: Vector[] = [];
  for (const name of await list(join(root, "policies"))) {
    const path = join(root, "policies", name);
    const manifest: Manifest = await readJson(join(path, "manifest.json"));
    const folder: Folder = { path, model: join(root, manifest.model), manifest };
    const { model_type: architecture } = await readJson(join(folder.model, "config.json"));
    const refused = isSupported(architecture) ? null : `architecture ${architecture}`;
    vectors.push(...inputVectors(`policies/${name}/inputs.safetensors`, folder, refused));
    for (const file of manifest.files) {
      const vector = `policies/${name}/${file.file}`, reason = refused ?? notComputed(file);
      vectors.push(reason ? notYet(vector, reason) : { name: vector, run: () => checkPolicy(folder, file) });
    }
  }
  return vectors;
}

function notComputed({ policy, params }: PolicyFile): string | null {
  const known = scorers[scorerOf(policy)];
  if (!known) return `policy ${policy}`;
  const allowed = [...known, ...(isRerotated(policy) ? ["decode_position"] : [])];
  const other = Object.keys(params).filter((key) => !allowed.includes(key));
  const missing = known.filter((key) => typeof params[key] !== "number");
  if (other.length + missing.length > 0) return `policy ${policy} with parameters ${JSON.stringify(params)}`;
  return null;
}

const isRerotated = (policy: string) => policy.startsWith("rerotate_");
const scorerOf = (policy: string) => policy.replace(/^rerotate_/, "");

/** Keys and values after the prompt, and the decode tokens on the full cache; the other inputs belong to stages that are not there yet. */
function inputVectors(name: string, folder: Folder, refused: string | null): Vector[] {
  if (refused) return [notYet(name, refused)];
  return [
    { name, run: () => checkInputs(folder) },
    notYet(`${name} (q_prerope, vwl1norm)`, "pre-RoPE queries, values times the output matrix"),
  ];
}

async function checkInputs({ path, model, manifest }: Folder): Promise<Check[]> {
  const asked = await readArrays(join(path, "inputs.safetensors"));
  return await using(model, {}, async ({ engine }) => {
    const { prompt_ids, decode_ids } = manifest, n = prompt_ids.length;
    const cache = cacheFor(engine, n + decode_ids.length);
    await forward(engine, cache, prompt_ids);
    const checks: Check[] = [];
    for (const array of asked.names) {
      const [, layer, kind] = /^layer(\d+)\.([kv])$/.exec(array) ?? [];
      if (layer === undefined) continue;
      const rows = headsOf(engine, Number(layer)).map((head) =>
        kind === "k" ? cache.keyRows(head) : cache.valueRows(head)
      );
      checks.push(close(array, joined(rows), asked.data(array), ROWS));
    }
    const logits = await decode(engine, cache, decode_ids, n);
    checks.push(close("logits_full_cache", logits, asked.data("logits_full_cache"), LOGITS));
    return checks;
  });
}

async function checkPolicy({ path, model, manifest }: Folder, vector: PolicyFile): Promise<Check[]> {
  const { prompt_ids, decode_ids, kv_layers } = manifest, n = prompt_ids.length;
  const asked = await readArrays(join(path, vector.file));
  const scores = await readArrays(join(path, "scores.safetensors"));
  return await using(model, { features: { mass: ["mean"] } }, async ({ engine }) => {
    const checks: Check[] = [], heads = engine.config.layers * engine.config.kvHeads;
    const cache = cacheFor(engine, n + decode_ids.length);
    const raw = await score(engine, cache, manifest, vector, scores, checks);

    const quotas = vector.n_kept_per_layer_head.flat();
    const rule = Math.max(1, Math.trunc(n * (1 - vector.ratio)));
    checks.push(equal("slots kept per head", quotas.map(() => rule), quotas));
    const select = topk();
    const source = Int32Array.from({ length: n }, (_, token) => token);
    const keep = raw.map((row) =>
      select.keep(row, {
        quota: rule,
        protectedSlots: protectedSlots(vector, n),
        source,
        valueNorm: new Float32Array(0),
        tokensRead: n,
      })
    );
    const mask = new Uint8Array(heads * n);
    keep.forEach((slots, head) => slots.forEach((slot) => mask[head * n + slot] = 1));
    checks.push(equal("kept_mask", mask, asked.data("kept_mask")));

    const positions = isRerotated(vector.policy) ? "compact" : "original";
    const start = compact(cache, keep, positions, new Rope(engine.config), n, sinksOf(vector));
    checks.push(equal("decode_start", [start], [vector.decode_start]));
    if (asked.has("rerotated_keys")) {
      const rows = kv_layers.flatMap((layer) => headsOf(engine, layer).map((head) => cache.keyRows(head)));
      checks.push(close("rerotated_keys", joined(rows), asked.data("rerotated_keys"), ROWS));
    }
    checks.push(close("logits", await decode(engine, cache, decode_ids, start), asked.data("logits"), LOGITS));
    return checks;
  });
}

/** Forwards the prompt onto the cache and gives each slot's raw score, after comparing it with the vector's. */
async function score(
  engine: Engine,
  cache: KvCache,
  manifest: Manifest,
  vector: PolicyFile,
  stored: Arrays,
  checks: Check[],
): Promise<Scores> {
  const { prompt_ids } = manifest, n = prompt_ids.length, asked = stored.data(vector.score_key);
  if (scorerOf(vector.policy) === "streaming_llm") {
    const { last } = await forward(engine, cache, prompt_ids);
    const context = probeContext(engine, cache, last, prompt_ids);
    const raw = await unpooled().score(await place().look(context), context);
    // kvpress scores 1 and 0, our probe the place: sinks aside, they agree when no 0 stands above a 1
    const sinks = sinksOf(vector);
    const wrong = raw.map((row, head) => {
      let lowestKept = Infinity, highestDropped = -Infinity;
      row.forEach((value, slot) => {
        if (asked[head * n + slot] === 0) highestDropped = Math.max(highestDropped, value);
        else if (slot >= sinks) lowestKept = Math.min(lowestKept, value);
      });
      return highestDropped < lowestKept ? 0 : 1;
    });
    checks.push(equal("heads whose scores are in another order", wrong, wrong.map(() => 0)));
    return raw;
  }
  const rows = vector.params["window"] as number;
  const raw = await windowScores(engine, cache, prompt_ids, n, vector);
  // once as the vector has them and once without the window's raised scores, beside which all others are small
  const before = (row: ArrayLike<number>, heads: number): number[] =>
    Array.from({ length: heads * (n - rows) }, (_, i) => row[Math.floor(i / (n - rows)) * n + i % (n - rows)]!);
  const compare = (what: string, scores: Scores) => {
    const measured = joined(scores);
    checks.push(
      closeRelative(what, measured, asked, SCORES),
      closeRelative(`${what}, before the window`, before(measured, raw.length), before(asked, raw.length), SCORES),
    );
  };
  compare("scores", raw);
  // the same in two chunks: once the window alone (decomposed attention where it is small), once the longer half (fused)
  for (const size of [n - rows, Math.floor(n / 2)]) {
    if (n - size < rows || size < 1) continue;
    const again = await windowScores(engine, cacheFor(engine, n), prompt_ids, size, vector);
    compare(`scores, prefilled in chunks of ${size}`, again);
  }
  return raw;
}

/** SnapKV: the window's mean attention to everything before it, pooled; the window itself is set above all others of its layer. */
async function windowScores(
  engine: Engine,
  cache: KvCache,
  ids: number[],
  size: number,
  { params }: PolicyFile,
): Promise<Scores> {
  const n = ids.length, probe = window(params["window"] as number), aggregate = mean(params["kernel"] as number);
  // two chunks: the second may be the longer one
  if (size < n) await forward(engine, cache, ids.slice(0, size));
  const rest = size < n ? ids.slice(size) : ids;
  const { last } = await forward(engine, cache, rest, { scoreRows: probe.windowRows });
  const context = probeContext(engine, cache, last, ids);
  const { mean: mass } = await probe.look(context);
  const before = { mean: mass!.map((row) => row.subarray(0, n - probe.windowRows)) };
  const pooled = await aggregate.score(before, context);
  const { kvHeads } = engine.config;
  return pooled.map((row, head) => {
    const layer = Math.floor(head / kvHeads);
    let top = -Infinity;
    for (const other of pooled.slice(layer * kvHeads, (layer + 1) * kvHeads)) {
      for (const value of other) top = Math.max(top, value);
    }
    const whole = new Float32Array(n).fill(top + 1);
    whole.set(row);
    return whole;
  });
}

/** After the whole prompt, with nothing protected. */
function probeContext(engine: Engine, cache: KvCache, chunk: PassResult, tokens: number[]): ProbeContext {
  return {
    engine,
    cache,
    chunk,
    tokens,
    budget: tokens.length,
    mostSlots: Infinity,
    tokensRead: tokens.length,
    protectedSlots: Array.from(cache.live, (live) => new Uint8Array(live)),
    questionTokens: [],
    answerTokens: [],
    nextPosition: tokens.length,
    rows: ["mean"],
  };
}

const sinksOf = ({ params }: PolicyFile) => (params["n_sink"] as number | undefined) ?? 0;

/** Only what the vector's parameters name. */
function protectedSlots(vector: PolicyFile, n: number): Uint8Array {
  return new Uint8Array(n).fill(1, 0, sinksOf(vector));
}

function headsOf({ config }: Engine, layer: number): number[] {
  return Array.from({ length: config.kvHeads }, (_, h) => layer * config.kvHeads + h);
}

function joined(rows: Float32Array[]): Float32Array {
  const out = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  let at = 0;
  for (const row of rows) {
    out.set(row, at);
    at += row.length;
  }
  return out;
}
