/** What a kernel needs to be started, made once: a pipeline per kernel and constants, a bind group per pipeline and buffers. */
import type { KvType } from "../../core/stored_rows.ts";
import { type AnyKernel, STORED } from "../kernel.ts";
import { SHADER_STAGE_COMPUTE } from "./usage.ts";

/** A kernel with its constants filled in. */
export interface Launch {
  pipeline: GPUComputePipeline;
  layout: GPUBindGroupLayout;
  /** Threads of a workgroup. */
  threads: number;
  /** Number of the pipeline, for keys. */
  id: number;
}

export class Launches {
  private readonly pipelines = new Map<string, Launch>();
  private readonly layouts = new Map<AnyKernel, GPUBindGroupLayout>();
  /** By the text before their source too. */
  private readonly modules = new Map<string, GPUShaderModule>();
  private readonly groups = new Map<string, GPUBindGroup>();
  /** Keys of the bind groups that hold a buffer. */
  private readonly groupsOf = new Map<number, Set<string>>();
  private readonly ids = new WeakMap<GPUBuffer, number>();
  private nextId = 1;

  constructor(private readonly device: GPUDevice, private readonly limits: Readonly<Record<string, number>>) {}

  /** Pipelines made so far. */
  get pipelineCount(): number {
    return this.pipelines.size;
  }

  /** @param kvType of the cache, for kernels that look at its rows */
  launch(kernel: AnyKernel, constants: Record<string, number>, kvType: KvType): Launch {
    const threads = threadsFor(kernel.threads, this.limits), head = kernel.stored.length > 0 ? STORED[kvType] : "";
    let key = head + kernel.name;
    for (const name of kernel.constants) key += ` ${name}=${constants[name]}`;
    let launch = this.pipelines.get(key);
    if (!launch) {
      const layout = this.layout(kernel);
      const values: Record<string, number> = { THREADS: threads };
      for (const name of kernel.constants) values[name] = constants[name]!;
      const pipeline = this.device.createComputePipeline({
        label: kernel.name,
        layout: this.device.createPipelineLayout({ bindGroupLayouts: [layout] }),
        compute: { module: this.module(kernel, head), entryPoint: "main", constants: values },
      });
      launch = { pipeline, layout, threads, id: this.nextId++ };
      this.pipelines.set(key, launch);
    }
    return launch;
  }

  /** @param params holds the parameters of the launch; where in it, the launch says */
  group(launch: Launch, params: GPUBuffer, paramsBytes: number, buffers: GPUBuffer[]): GPUBindGroup {
    const ids = [params, ...buffers].map((buffer) => this.idOf(buffer));
    const key = `${launch.id}:${ids}`;
    let group = this.groups.get(key);
    if (!group) {
      group = this.device.createBindGroup({
        layout: launch.layout,
        entries: [
          { binding: 0, resource: { buffer: params, size: paramsBytes } },
          ...buffers.map((buffer, i) => ({ binding: i + 1, resource: { buffer } })),
        ],
      });
      this.groups.set(key, group);
      for (const id of ids) this.groupsOf.get(id)!.add(key);
    }
    return group;
  }

  /** Drops the bind groups of a buffer that is no more. */
  forget(buffer: GPUBuffer): void {
    const id = this.ids.get(buffer);
    if (id === undefined) return;
    for (const key of this.groupsOf.get(id)!) {
      this.groups.delete(key);
      for (const other of key.slice(key.indexOf(":") + 1).split(",")) {
        if (Number(other) !== id) this.groupsOf.get(Number(other))?.delete(key);
      }
    }
    this.groupsOf.delete(id);
    this.ids.delete(buffer);
  }

  private idOf(buffer: GPUBuffer): number {
    let id = this.ids.get(buffer);
    if (id === undefined) {
      id = this.nextId++;
      this.ids.set(buffer, id);
      this.groupsOf.set(id, new Set());
    }
    return id;
  }

  private module({ name, source }: AnyKernel, head: string): GPUShaderModule {
    let module = this.modules.get(head + name);
    if (!module) this.modules.set(head + name, module = this.device.createShaderModule({ code: head + source }));
    return module;
  }

  /** An explicit layout: one derived from the shader leaves out what a form of it does not use. */
  private layout(kernel: AnyKernel): GPUBindGroupLayout {
    let layout = this.layouts.get(kernel);
    if (!layout) {
      const visibility = SHADER_STAGE_COMPUTE;
      layout = this.device.createBindGroupLayout({
        entries: [
          { binding: 0, visibility, buffer: { type: "uniform", hasDynamicOffset: true } },
          ...Object.values(kernel.bindings).map((access, i) => ({
            binding: i + 1,
            visibility,
            buffer: { type: access === "read" ? "read-only-storage" as const : "storage" as const },
          })),
        ],
      });
      this.layouts.set(kernel, layout);
    }
    return layout;
  }
}

/** Threads of a workgroup: the largest power of two that the kernel and the device allow. */
function threadsFor(most: number, limits: Readonly<Record<string, number>>): number {
  const allowed = Math.min(most, limits.maxComputeInvocationsPerWorkgroup!, limits.maxComputeWorkgroupSizeX!);
  return 2 ** Math.floor(Math.log2(allowed));
}
