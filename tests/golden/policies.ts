/**
 * `policies/<architecture>`: one compression after the whole prompt, through the pipeline's own stages set as the vector's `params` say. Scores come
 * from `scores.ts`; here are quotas, kept sets, what is left of keys and values, and the logits after it.
 */
import { join } from "node:path";
import { compact } from "../../core/compact.ts";
import { Rope } from "../../core/rope.ts";
import { topk } from "../../core/select/topk.ts";
import { cacheFor, decode, forward } from "./forward.ts";
import { isSupported, list, readArrays, readJson, using } from "./open.ts";
import { type Folder, headsOf, joined, type Manifest, type PolicyFile, sinksOf } from "./policy_files.ts";
import { type Check, close, equal, notYet, type Vector } from "./report.ts";
import { scorerOf } from "./scores.ts";

const LOGITS = 5e-4, ROWS = 2e-4;

/** Policies whose sets are the highest scores of every head, and the parameters that they take beside their score's. */
const selected: Record<string, string[]> = { snapkv: [], streaming_llm: [] };

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

/** Parameters that nothing here takes would be ignored, so they are refused. */
function notComputed(file: PolicyFile): string | null {
  const { policy, params } = file, own = selected[policy.replace(/^rerotate_/, "")], scorer = scorerOf(file);
  if (!own) return `policy ${policy}`;
  if (!scorer) return `score ${file.score_key}`;
  const allowed = [...scorer.takes, ...own, ...(isRerotated(policy) ? ["decode_position"] : [])];
  const other = Object.keys(params).filter((key) => !allowed.includes(key));
  const missing = scorer.takes.filter((key) => !(key in params));
  if (other.length + missing.length > 0) return `policy ${policy} with parameters ${JSON.stringify(params)}`;
  return null;
}

const isRerotated = (policy: string) => policy.startsWith("rerotate_");

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
  const stored = await readArrays(join(path, "scores.safetensors"));
  const scorer = scorerOf(vector)!;
  return await using(model, { features: scorer.features }, async ({ engine }) => {
    const checks: Check[] = [], heads = engine.config.layers * engine.config.kvHeads;
    const cache = cacheFor(engine, n + decode_ids.length);
    const raw = await scorer.score({ engine, cache, manifest, vector, stored, checks });

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

/** Only what the vector's parameters name. */
function protectedSlots(vector: PolicyFile, n: number): Uint8Array {
  return new Uint8Array(n).fill(1, 0, sinksOf(vector));
}
