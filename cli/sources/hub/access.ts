/**
 * How a hub is asked: its address, the token and every request. The token is put on requests to the hub's own origin here and nowhere else: what the
 * hub redirects to (its CDN) never gets it, and the packages that we call do not know it.
 */
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ModelError, UsageError } from "../../../core/errors.ts";
import { version } from "../../version.ts";

type Environment = Record<string, string | undefined>;

/** What the answers on the way to a file said of it, the hub's own before those of where it redirects to. */
export interface Stated {
  etag?: string;
  size?: number;
  commit?: string;
}

export interface Answer {
  response: Response;
  stated: Stated;
}

/** A hub as the environment names it. */
export interface Hub {
  /** Without a slash at the end. */
  endpoint: string;
  /** For messages. */
  host: string;
  /** Where the token came from, null without one. */
  tokenFrom: string | null;
  /** Nothing may be asked: only what is on this machine. */
  offline: boolean;
  /**
   * GETs and follows redirects.
   * @throws {HubRefusal} for a status of 400 or more
   * @throws {Unreachable} where no answer comes
   * @throws {ModelError} for redirects that cannot be followed
   */
  get(url: string, headers?: Record<string, string>, signal?: AbortSignal): Promise<Answer>;
}

/** The hub answered, and refuses. */
export class HubRefusal extends Error {
  readonly status: number;
  /** The hub's own word for it: RepoNotFound, GatedRepo, RevisionNotFound, EntryNotFound. */
  readonly reason: string;
  readonly said: string;
  readonly host: string;
  /** How long it asks to wait. */
  readonly retryAfterMs: number | null;
  constructor(response: Response, host: string) {
    super(`${host} answered ${response.status}`);
    this.status = response.status;
    this.reason = response.headers.get("x-error-code") ?? "";
    this.said = response.headers.get("x-error-message") ?? "";
    this.host = host;
    const seconds = Number(response.headers.get("retry-after") ?? NaN);
    this.retryAfterMs = seconds >= 0 ? 1000 * seconds : null;
  }
}

/** No answer came, or it broke off. */
export class Unreachable extends Error {}

const mostRedirects = 10;
/** Without a byte for so long, a connection counts as broken. */
export const patienceMs = 60_000;

/** @throws {UsageError} for an address or a token that cannot be one */
export async function openHub(signal: AbortSignal, environment: Environment = process.env): Promise<Hub> {
  const endpoint = endpointOf(environment), { origin, host } = new URL(endpoint);
  const token = await tokenOf(environment);
  return {
    endpoint,
    host,
    tokenFrom: token?.from ?? null,
    offline: /^(1|true|yes|on)$/i.test(environment.HF_HUB_OFFLINE ?? ""),
    async get(url, headers = {}, own = signal) {
      const stated: Stated = {}, seen = new Set<string>();
      for (let at = new URL(url);;) {
        if (seen.has(at.href)) throw new ModelError(`${at.host} redirects in a circle`);
        if (seen.size > mostRedirects) throw new ModelError(`${host} redirects more than ${mostRedirects} times`);
        seen.add(at.href);
        const response = await ask(at, {
          ...headers,
          // sizes and ranges are those of the file, not of what a compression makes of it
          "accept-encoding": "identity",
          "user-agent": `palimpsest/${version}`,
          ...(token && at.origin === origin ? { authorization: `Bearer ${token.text}` } : {}),
        }, own);
        note(stated, response.headers);
        if (![301, 302, 303, 307, 308].includes(response.status)) {
          if (response.ok) return { response, stated };
          await response.body?.cancel().catch(() => {});
          throw new HubRefusal(response, at.host);
        }
        await response.body?.cancel().catch(() => {});
        at = target(at, response.headers.get("location"));
      }
    },
  };
}

/** One request, no redirects. */
async function ask(url: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Response> {
  const late = new AbortController(), timer = setTimeout(() => late.abort(), patienceMs);
  try {
    return await fetch(url, { headers, redirect: "manual", signal: AbortSignal.any([signal, late.signal]) });
  } catch (error) {
    signal.throwIfAborted();
    const why = late.signal.aborted ? `no answer in ${patienceMs / 1000} s` : reasonOf(error);
    throw new Unreachable(`Cannot reach ${url.host}: ${why}`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

/** First what the hub says: a CDN's own etag is another thing. */
function note(stated: Stated, headers: Headers): void {
  const etag = headers.get("x-linked-etag"), size = headers.get("x-linked-size"), commit = headers.get("x-repo-commit");
  if (etag) stated.etag ??= plainEtag(etag);
  if (size && /^\d+$/.test(size)) stated.size ??= Number(size);
  if (commit) stated.commit ??= commit;
}

/** Without quotes and without the mark of a weak one. */
export function plainEtag(etag: string): string {
  return etag.replace(/^W\//, "").replaceAll('"', "");
}

function target(from: URL, location: string | null): URL {
  let to: URL | null = null;
  try {
    to = location ? new URL(location, from) : null;
  } catch {
    // said below
  }
  if (!to || !/^https?:$/.test(to.protocol)) throw new ModelError(`${from.host} redirects to nowhere`);
  if (from.protocol === "https:" && to.protocol === "http:") {
    throw new ModelError(`${from.host} redirects to ${to.host} without encryption, which is not followed`);
  }
  return to;
}

function endpointOf(environment: Environment): string {
  const text = environment.HF_ENDPOINT?.trim().replace(/\/+$/, "");
  if (!text) return "https://huggingface.co";
  let url: URL | null = null;
  try {
    url = new URL(text);
  } catch {
    // said below
  }
  if (url && /^https?:$/.test(url.protocol) && !url.username && !url.password) return text;
  // the value is not shown: it may hold a password
  throw new UsageError(
    "HF_ENDPOINT must be the address of a hub, without a user and a password, as https://huggingface.co",
  );
}

/** Where the hub's own tools keep their things. */
export function hubHome(environment: Environment): string {
  if (environment.HF_HOME) return environment.HF_HOME;
  return join(environment.XDG_CACHE_HOME || join(environment.HOME || homedir(), ".cache"), "huggingface");
}

async function tokenOf(environment: Environment): Promise<{ text: string; from: string } | null> {
  for (const name of ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"]) {
    const text = environment[name]?.trim();
    if (text) return checked(text, name);
  }
  const path = environment.HF_TOKEN_PATH || join(hubHome(environment), "token");
  const text = (await readFile(path, "utf8").catch(() => "")).trim();
  return text ? checked(text, path) : null;
}

/** A header that cannot be sent makes Deno print it, token and all. */
function checked(text: string, from: string): { text: string; from: string } {
  if (/^[\x21-\x7e]+$/.test(text)) return { text, from };
  throw new UsageError(`The token in ${from} has characters that no token has: it must be one word`);
}

/** A runtime's words, without the address: it may be signed. Deno has the reason one or two causes deep. */
export function reasonOf(error: unknown): string {
  const chain: { code?: unknown; message?: string }[] = [];
  for (let at = error; at instanceof Error && chain.length < 5; at = at.cause) chain.push(at as { message: string });
  const codes = chain.map((one) => one.code), words = chain.map((one) => one.message ?? "").join("\n");
  if (codes.includes("ECONNREFUSED") || /connection refused/i.test(words)) return "the connection was refused";
  if (codes.some((code) => code === "ENOTFOUND" || code === "EAI_AGAIN") || /dns error|failed to lookup/i.test(words)) {
    return "its name is not known, is there a network?";
  }
  if (codes.includes("ECONNRESET") || /connection reset|reading a body from connection/i.test(words)) {
    return "it was closed";
  }
  const last = (chain.at(-1)?.message || String(error)).split("\n")[0]!;
  return last.replace(/(for url )?\(?https?:\/\/\S+/g, "").replace(/[.\s]+$/, "").slice(0, 200);
}
