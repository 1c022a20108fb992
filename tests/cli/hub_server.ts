/**
 * A hub on this machine, as Hugging Face's answers: revisions, listings in pages, files by commit, large ones redirected to a CDN on another origin with the
 * headers that state their hash, size and commit.
 */
import { Buffer } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** Files by path; those of at least this size are large ones (LFS). */
export type Files = Record<string, Uint8Array>;
const largeBytes = 100_000;

/** What the hub has and how it misbehaves. */
export interface Behaviour {
  /** By repository. Default: owner/tiny with tiny.gguf. */
  repositories?: Record<string, Files>;
  /** Branches and tags of every repository. Default: main. */
  revisions?: Record<string, string>;
  /** Repositories that want a token, or another one than was sent. */
  gated?: string[];
  token?: string;
  /** SHA-256 that the hub states, whatever the bytes are. */
  states?: string;
  /** Size in the listing, whatever the file's is. */
  lists?: number;
  /** The hub states no hash with the file itself, only the server's own etag. */
  etag?: string;
  /** Breaks every answer's connection after so many bytes. */
  breakAfter?: number;
  /** Breaks only so many answers. */
  breaks?: number;
  /** Of every connection. */
  bytesPerSecond?: number;
  /** Sends the whole file whatever range is asked for. */
  ignoresRanges?: boolean;
  /** Answers so many requests for a file with 503 first. */
  busy?: number;
  /** Where the CDN's address leads to instead of the file. */
  redirects?: string;
}

export interface LocalHub {
  url: string;
  /** Ranges of files that were asked for, without the first look at a GGUF file. */
  ranges: string[];
  /** Everything that was asked for: host, path and what stood in Authorization. */
  seen: { host: "hub" | "cdn"; url: string; authorization: string | undefined }[];
}

/** A GGUF file as far as a first look goes. */
export function ggufBytes(size: number, architecture = "llama"): Uint8Array {
  const key = "general.architecture", head = Buffer.alloc(24 + 8 + key.length + 4 + 8 + architecture.length);
  head.write("GGUF");
  head.writeUInt32LE(3, 4);
  head.writeBigUInt64LE(1n, 16);
  head.writeBigUInt64LE(BigInt(key.length), 24);
  head.write(key, 32);
  head.writeUInt32LE(8, 32 + key.length);
  head.writeBigUInt64LE(BigInt(architecture.length), 36 + key.length);
  head.write(architecture, 44 + key.length);
  return new Uint8Array(Buffer.concat([head, randomBytes(Math.max(0, size - head.length))]));
}

export const sha256Of = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
export const gitHashOf = (bytes: Uint8Array) =>
  createHash("sha1").update(`blob ${bytes.length}\0`).update(bytes).digest("hex");

export const commit = "0123456789abcdef0123456789abcdef01234567";
export const weights: Uint8Array = ggufBytes(2_000_000);

/** Runs `use` with a hub. */
export async function withHub(behaviour: Behaviour, use: (hub: LocalHub) => Promise<void>): Promise<void> {
  const { repositories = { "owner/tiny": { "tiny.gguf": weights } }, revisions = { main: commit } } = behaviour;
  const hub: LocalHub = { url: "", ranges: [], seen: [] };
  let breaks = behaviour.breaks ?? Infinity, busy = behaviour.busy ?? 0;

  function send(
    request: IncomingMessage,
    response: ServerResponse,
    bytes: Uint8Array,
    headers: Record<string, string>,
  ) {
    const asked = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? ""),
      isLook = asked?.[1] === "0" && asked[2] === "16383";
    if (!isLook) hub.ranges.push(request.headers.range ?? "whole");
    if (!isLook && busy-- > 0) return void response.writeHead(503, { "retry-after": "0" }).end();
    const unchanged = !request.headers["if-range"] || request.headers["if-range"] === headers.etag;
    const partial = asked && unchanged && (isLook || !behaviour.ignoresRanges);
    const [from, to] = partial
      ? [Number(asked[1]), Math.min(Number(asked[2]), bytes.length - 1)]
      : [0, bytes.length - 1];
    const body = bytes.subarray(from, to + 1), range = { "content-range": `bytes ${from}-${to}/${bytes.length}` };
    response.writeHead(partial ? 206 : 200, { ...headers, "content-length": body.length, ...(partial ? range : {}) });
    if (!isLook && behaviour.breakAfter !== undefined && body.length > behaviour.breakAfter && breaks-- > 0) {
      response.write(body.subarray(0, behaviour.breakAfter), () => setTimeout(() => response.destroy(), 50));
    } else if (behaviour.bytesPerSecond && !isLook) drip(response, body, behaviour.bytesPerSecond / 20);
    else response.end(body);
  }

  function drip(response: ServerResponse, body: Uint8Array, bytes: number): void {
    if (body.length <= bytes || response.destroyed) return void response.end(body);
    response.write(body.subarray(0, bytes));
    setTimeout(() => drip(response, body.subarray(bytes), bytes), 50);
  }

  const json = (response: ServerResponse, value: unknown, headers: Record<string, string> = {}) =>
    void response.writeHead(200, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));
  const refuse = (response: ServerResponse, status: number, code: string) =>
    void response.writeHead(status, { "x-error-code": code, "content-type": "application/json" }).end('{"error":"no"}');

  const cdn = createServer((request, response) => {
    hub.seen.push({ host: "cdn", url: request.url!, authorization: request.headers.authorization });
    const [, owner, name, ...path] = decodeURIComponent(request.url!.split("?")[0]!).split("/");
    send(request, response, repositories[`${owner}/${name}`]![path.join("/")]!, { etag: '"cdn"' });
  });

  const server = createServer((request, response) => {
    request.resume();
    hub.seen.push({ host: "hub", url: request.url!, authorization: request.headers.authorization });
    const url = new URL(request.url!, hub.url), path = decodeURIComponent(url.pathname);
    if (path === "/loop") return void response.writeHead(302, { location: "/loop" }).end();
    const sent = request.headers.authorization, allowed = !behaviour.token || sent === `Bearer ${behaviour.token}`;
    if (path === "/api/models") {
      const owner = url.searchParams.get("author"), words = url.searchParams.get("search");
      const found = Object.keys(repositories).filter((name) =>
        owner ? name.startsWith(`${owner}/`) : name.includes(words!)
      );
      return json(response, found.map((id) => ({ id, _id: id })));
    }
    const [, api, name = "", kind, rest = ""] =
      /^(\/api\/models)?\/([^/]+\/[^/]+)\/(revision|tree|refs|resolve)(?:\/(.*))?$/
        .exec(path) ?? [];
    const files = repositories[name];
    if (sent && behaviour.token && !allowed && !behaviour.gated) {
      return void response.writeHead(401, { "x-error-message": "Invalid credentials in Authorization header" }).end();
    }
    if (!files || (!allowed && !behaviour.gated?.includes(name))) {
      return refuse(response, sent ? 404 : 401, "RepoNotFound");
    }
    if (behaviour.gated?.includes(name) && !(sent && allowed)) return refuse(response, sent ? 403 : 401, "GatedRepo");
    if (kind === "refs") {
      return json(response, { branches: Object.keys(revisions).map((one) => ({ name: one })), tags: [] });
    }
    const [revision = "", ...words] = kind === "revision" ? [rest] : rest.split("/");
    const sha = Object.values(revisions).includes(revision) ? revision : revisions[revision];
    if (!sha) return refuse(response, 404, "RevisionNotFound");
    if (kind === "revision") return json(response, { id: name, _id: name, sha, private: false, gated: false });
    if (kind === "tree") {
      const paths = Object.keys(files).sort(), from = Number(url.searchParams.get("cursor") ?? 0), page = 3;
      const entries = paths.slice(from, from + page).map((path) => entryOf(path, files[path]!));
      url.searchParams.set("cursor", String(from + page));
      const next = from + page < paths.length ? { link: `<${url.href}>; rel="next"` } : undefined;
      return json(response, entries, next);
    }
    const bytes = files[words.join("/")];
    if (!bytes || api) return refuse(response, 404, "EntryNotFound");
    const headers = { "x-repo-commit": sha };
    if (bytes.length < largeBytes || behaviour.etag) {
      return send(request, response, bytes, { ...headers, etag: `"${behaviour.etag ?? gitHashOf(bytes)}"` });
    }
    const location = behaviour.redirects ??
      `http://localhost:${(cdn.address() as AddressInfo).port}/${name}/${words.join("/")}?signature=secret`;
    response.writeHead(302, {
      ...headers,
      location,
      "x-linked-etag": `"${behaviour.states ?? sha256Of(bytes)}"`,
      "x-linked-size": String(bytes.length),
    }).end();
  });

  function entryOf(path: string, bytes: Uint8Array): object {
    const size = behaviour.lists ?? bytes.length, entry = { type: "file", path, size, oid: gitHashOf(bytes) };
    const lfs = { oid: behaviour.states ?? sha256Of(bytes), size, pointerSize: 130 };
    return bytes.length < largeBytes ? entry : { ...entry, lfs };
  }

  const servers = [server, cdn];
  await Promise.all(servers.map((one) => new Promise<void>((done) => one.listen(0, done))));
  hub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await use(hub);
  } finally {
    for (const one of servers) {
      one.closeAllConnections();
      one.close();
    }
  }
}
