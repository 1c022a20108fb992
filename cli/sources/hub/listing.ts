/** What a hub has: the commit that a revision stands for, and its files with their sizes and hashes. */
import { ModelError } from "../../../core/errors.ts";
import { nearestName } from "../../../core/nearest_name.ts";
import { type Hub, HubRefusal } from "./access.ts";
import { persistently } from "./retry.ts";

/** A file as the hub states it. */
export interface HubFile {
  path: string;
  size: number;
  hash: HubHash;
}

/** Large files have a SHA-256; the others git's own hash, a SHA-1 of `blob <size>\0` and the bytes. */
export type HubHash = { kind: "sha256" | "git"; hex: string };

/** A repository at one commit. */
export interface Repository {
  name: string;
  /** As asked for. */
  revision: string;
  commit: string;
  files: HubFile[];
}

/**
 * Asks the hub.
 * @throws {ModelError} where it has no such repository or revision, or does not let us see it
 * @throws {Unreachable} where it cannot be reached
 */
export async function readRepository(
  hub: Hub,
  name: string,
  revision: string,
  signal: AbortSignal,
): Promise<Repository> {
  const { listFiles, modelInfo } = await import("@huggingface/hub");
  const common = { hubUrl: hub.endpoint, fetch: fetchThrough(hub) };
  try {
    return await persistently(3, signal, async () => {
      const { sha } = await modelInfo({ ...common, name, revision, additionalFields: ["sha"] });
      if (typeof sha !== "string" || !/^[0-9a-f]{40}$/.test(sha)) {
        throw new ModelError(`${hub.host} states no commit for ${revision} of ${name}`);
      }
      const files: HubFile[] = [];
      // pinned: what is listed and what is fetched are of one commit, whatever is pushed in between
      for await (
        const entry of listFiles({ ...common, repo: { type: "model", name }, revision: sha, recursive: true })
      ) {
        const file = entry.type === "file" ? fileOf(entry) : null;
        if (file) files.push(file);
      }
      return { name, revision, commit: sha, files };
    });
  } catch (error) {
    throw error instanceof HubRefusal ? await refusal(hub, error, { name, revision }) : error;
  }
}

/** Address of a file's bytes. */
export function fileUrl(hub: Hub, { name, commit }: Pick<Repository, "name" | "commit">, path: string): string {
  return `${hub.endpoint}/${name}/resolve/${commit}/${path.split("/").map(encodeURIComponent).join("/")}`;
}

function fileOf(
  entry: { path: string; size: number; oid?: string; lfs?: { oid: string; size: number } },
): HubFile | null {
  const hex = entry.lfs?.oid ?? entry.oid, size = entry.lfs?.size ?? entry.size, kind = entry.lfs ? "sha256" : "git";
  const isHash = typeof hex === "string" && (kind === "git" ? /^[0-9a-f]{40}$/ : /^[0-9a-f]{64}$/).test(hex);
  if (typeof entry.path !== "string" || !Number.isSafeInteger(size) || size < 0 || !isHash) return null;
  return { path: entry.path, size, hash: { kind, hex } };
}

/** The packages' requests go the way of all others: their own would know neither the token nor where it may go. */
function fetchThrough(hub: Hub): typeof fetch {
  return (async (input) => {
    const { response } = await hub.get(String(input), { accept: "application/json" });
    return response;
  }) as typeof fetch;
}

/** One sentence for what a hub refuses. */
export async function refusal(
  hub: Hub,
  error: HubRefusal,
  { name, revision }: { name: string; revision: string },
): Promise<ModelError> {
  const { status, reason } = error, page = `${hub.endpoint}/${name}`;
  const token = "a token in HF_TOKEN", say = (text: string) => new ModelError(text, { cause: error });
  if (error.host !== hub.host) return say(`${error.host}, where ${hub.host} keeps the file, answered ${status}`);
  if (status === 429) return say(`${hub.host} takes no more requests for now (429): try again later, or with ${token}`);
  if (reason === "GatedRepo") {
    return say(
      hub.tokenFrom
        ? `The repository ${name} is gated, and the token from ${hub.tokenFrom} has no access: ask for it at ${page}`
        : `The repository ${name} is gated: accept its conditions at ${page}, then give ${token}`,
    );
  }
  if (reason === "RevisionNotFound") return say(await noRevision(hub, name, revision));
  if (status === 401 && hub.tokenFrom && (reason === "" || /credential|token|expired/i.test(error.said))) {
    return say(
      `${hub.host} does not accept the token from ${hub.tokenFrom}: ${hub.endpoint}/settings/tokens makes another`,
    );
  }
  if (status === 403) {
    return say(
      `${hub.host} does not give access to ${name} (403): ${hub.tokenFrom ? "another token" : token} may have it`,
    );
  }
  if (status === 401 || status === 404) {
    const near = await nearRepository(hub, name);
    return say(
      `${hub.host} has no repository ${name}${near ? `, did you mean ${near}?` : ""}` +
        (hub.tokenFrom ? "" : `${near ? " " : ", or it "}${near ? "A private one" : "is private and"} needs ${token}`),
    );
  }
  return say(`${hub.host} answered ${status}`);
}

async function noRevision(hub: Hub, name: string, revision: string): Promise<string> {
  const missing = `The repository ${name} has no revision ${revision}`;
  try {
    const { response } = await hub.get(`${hub.endpoint}/api/models/${name}/refs`, { accept: "application/json" });
    const { branches = [], tags = [] } = await response.json() as Record<string, { name: string }[]>;
    const names = [...branches, ...tags].map((one) => String(one.name)), near = nearestName(revision, names);
    if (near) return `${missing}, did you mean ${near}?`;
    return names.length > 0 ? `${missing}: it has ${names.slice(0, 8).join(", ")}` : missing;
  } catch {
    return missing;
  }
}

/** A repository of nearly this name: of the same owner, or else of any. */
async function nearRepository(hub: Hub, name: string): Promise<string | null> {
  const [owner, own] = name.split("/") as [string, string];
  const { listModels } = await import("@huggingface/hub");
  for (const search of [{ owner }, { query: own }]) {
    const names: string[] = [];
    try {
      for await (const found of listModels({ search, limit: 300, hubUrl: hub.endpoint, fetch: fetchThrough(hub) })) {
        if (found.name !== name) names.push(found.name);
      }
    } catch {
      continue;
    }
    const typed = name.toLowerCase(), ownPart = own.toLowerCase();
    const near = nearestName(name, names) ?? names.find((one) => one.toLowerCase().startsWith(typed)) ??
      names.find((one) => one.split("/")[1]?.toLowerCase() === ownPart);
    if (near) return near;
  }
  return null;
}
