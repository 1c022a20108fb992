/** `palimpsest doctor`: is everything here that `ask` needs? */
import { spawnSync } from "node:child_process";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { arch, cpus, platform, release } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { cacheFolder } from "./folders.ts";
import { defaultThreads, freeBytes, runtimeName, totalMemoryBytes } from "./host.ts";
import { adapterLine, autoDevice, inspectWebGpu, type WebGpuReport } from "./doctor_webgpu.ts";
import { columns } from "./models.ts";
import { readableBytes } from "./numbers.ts";
import { writeJson, writeOut } from "./output.ts";
import { version } from "./version.ts";
import { loadOnnxRuntimeNode } from "./runtimes/native.ts";
import { loadOnnxRuntimeWeb } from "./runtimes/wasm.ts";
import { resolveModel } from "./store.ts";
import { forgetTemporary, temporaryName } from "./temporary.ts";

/** One thing that was looked at. */
export interface Check {
  name: string;
  /** null: worth knowing, neither good nor bad. */
  ok: boolean | null;
  detail: string;
  /** Exit code when `ok` is false and the program cannot work without it. */
  code?: number;
}

/** Looks at everything, prints it, and exits with the code of the first thing that is needed and missing. */
export async function doctor(flags: { model: string; json?: boolean | undefined }): Promise<void> {
  const cache = cacheFolder();
  const devices = await deviceChecks(), webgpu = await inspectWebGpu();
  const [native, wasm] = devices.map(({ ok }) => ok === true);
  const auto = autoDevice(webgpu, native!, wasm!);
  const checks: Check[] = [
    { name: "version", ok: null, detail: `palimpsest ${version}, ${runtimeName()}` },
    {
      name: "machine",
      ok: null,
      detail: `${platform()} ${release()} ${arch()}, ${cpus()[0]?.model.trim() ?? "CPU"}, ${defaultThreads()} cores`,
    },
    { name: "memory", ok: null, detail: readableBytes(totalMemoryBytes()) },
    await cacheCheck(cache),
    await check("model", 5, async () => {
      const model = await resolveModel(cache, flags.model);
      return `${model.name} (${model.path})`;
    }),
    ...devices,
    ...webgpuChecks(webgpu),
    { name: "auto", ok: null, detail: `takes ${auto.device ?? "nothing"}: ${auto.reason}` },
    pipCheck(),
  ];
  const failed = checks.find((one) => one.ok === false && one.code !== undefined);
  if (flags.json) {
    writeJson({
      schema: "palimpsest.doctor/1",
      command: "doctor",
      ok: !failed,
      webgpu,
      auto,
      checks: checks.map(({ code: _, ...rest }) => rest),
    });
  } else {
    writeOut(columns(checks.map(({ name, ok, detail }) => [ok === null ? "·" : ok ? "ok" : "NO", name, detail])));
  }
  if (failed) process.exitCode = failed.code;
}

async function check(name: string, code: number | undefined, look: () => Promise<string>): Promise<Check> {
  try {
    return { name, ok: true, detail: await look() };
  } catch (error) {
    return { name, ok: false, detail: (error as Error).message, ...(code === undefined ? {} : { code }) };
  }
}

async function cacheCheck(cache: string): Promise<Check> {
  return await check("cache", 1, async () => {
    await mkdir(cache, { recursive: true });
    const probe = temporaryName(join(cache, "probe"));
    await writeFile(probe, "");
    await rm(probe);
    forgetTemporary(probe);
    const free = await freeBytes(cache);
    return `${cache}${free === null ? "" : `, ${readableBytes(free)} free`}`;
  });
}

/** One of the two devices is enough. */
async function deviceChecks(): Promise<Check[]> {
  const native = await check(
    "cpu",
    undefined,
    async () => `ONNX Runtime ${(await loadOnnxRuntimeNode()).env.versions.node ?? ""}, native`,
  );
  const wasm = await check(
    "wasm",
    undefined,
    async () => `ONNX Runtime ${(await loadOnnxRuntimeWeb()).env.versions.web ?? ""}, WebAssembly`,
  );
  if (native.ok) return [native, { ...wasm, ok: wasm.ok || null }];
  return wasm.ok ? [native, wasm] : [{ ...native, code: 6 }, wasm];
}

/** A GPU is welcome, not needed; one that computes wrongly is not in order. */
function webgpuChecks({ runtime, problem, adapters }: WebGpuReport): Check[] {
  const whose = runtime === null ? "" : `${runtime}: `;
  if (problem !== null) return [{ name: "webgpu", ok: null, detail: whose + problem }];
  return adapters.map((adapter) => ({
    name: "webgpu",
    ok: adapter.selfTest === "passed" ? adapter.kind === "hardware" || null : adapter.selfTest === null ? null : false,
    detail: whose + adapterLine(adapter),
  }));
}

function pipCheck(): Check {
  const found = [["python3", "-m", "pip"], ["pip3"], ["pip"]].some(([program, ...flags]) =>
    spawnSync(program!, [...flags, "--version"], { stdio: "ignore" }).status === 0
  );
  return {
    name: "pip",
    ok: found ? true : null,
    detail: found ? "found (a source of models)" : "not found: pull uses the hub only",
  };
}
