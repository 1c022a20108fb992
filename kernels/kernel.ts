/**
 * A kernel is two files: `name.wgsl`, and `name.ts` with its contract, a plain reference that anyone can check, its launch and its cases. The test loop
 * (`tests/kernels/`) runs every kernel in every case on every device against its reference.
 *
 * In the shader: `@binding(0) var<uniform> params: Params` with the `params` in their order, then the `bindings` from 1 on in theirs;
 * `override THREADS: u32`, the threads of a workgroup; an `override` for each of the `constants`; the entry point `main`. Rows of the cache are
 * `array<stored>`: f32 or f16, as `STORED` says; kernels compute in f32, so they read `f32(keys[i])` and write `keys[i] = stored(x)`.
 */
import type { KvType } from "../core/stored_rows.ts";
import type { Numbers } from "./gpu.ts";
import type { Recording } from "./recording.ts";

/** Whether a kernel only reads a buffer, or also writes it. */
export type Access = "read" | "write";
export type ParamType = "u32" | "i32" | "f32";
/** Workgroups to start. */
export type Grid = [x: number] | [x: number, y: number] | [x: number, y: number, z: number];

/** How far a device may be from the reference: `absolute + relative × |reference|`. Integers must be equal. */
export interface Tolerance {
  absolute: number;
  relative: number;
  /** Why not zero. */
  reason: string;
}

/** One run of a kernel in the tests. */
export interface Case<Buffer extends string, Value extends string> {
  name: string;
  buffers: Record<Buffer, Numbers>;
  values: Record<Value, number>;
  tolerance?: Tolerance;
}

export interface KernelSpec<Buffer extends string, Param extends string, Constant extends string> {
  name: string;
  /** WGSL. */
  source: string;
  /** Storage buffers, at most 8, in the order of their binding numbers. */
  bindings: Record<Buffer, Access>;
  /** Those of them that are rows of the cache. Default: none. */
  stored?: readonly NoInfer<Buffer>[];
  /** Numbers that change between launches, in the order of the uniform struct. At most 64. */
  params: Record<Param, ParamType>;
  /** Names of override constants: what stays the same for a model. Booleans are 0 or 1. */
  constants: readonly Constant[];
  /** Most threads that a workgroup is of use with, a power of two. */
  threads: number;
  /** Workgroups to start, where each has `threads` threads; none where there is nothing to do. */
  grid(values: Record<NoInfer<Param | Constant>, number>, threads: number): Grid;
  /** The reference: changes the arrays as the kernel changes the buffers. */
  cpu(buffers: Record<NoInfer<Buffer>, Numbers>, values: Record<NoInfer<Param | Constant>, number>): void;
  tolerance: Tolerance;
  /** Made on demand: only tests need them. */
  cases(): Case<NoInfer<Buffer>, NoInfer<Param | Constant>>[];
}

export interface Kernel<Buffer extends string, Value extends string> {
  readonly name: string;
  readonly source: string;
  readonly bindings: Record<Buffer, Access>;
  readonly stored: readonly Buffer[];
  readonly params: Record<string, ParamType>;
  readonly constants: readonly string[];
  readonly threads: number;
  readonly tolerance: Tolerance;
  grid(values: Record<Value, number>, threads: number): Grid;
  cpu(buffers: Record<Buffer, Numbers>, values: Record<Value, number>): void;
  cases(): Case<Buffer, Value>[];
  /** Adds it to a recording. @param values its parameters and constants */
  record(recording: Recording, buffers: Record<Buffer, GPUBuffer>, values: Record<Value, number>): void;
}

/** What stands before the source of a kernel that looks at rows of the cache. */
export const STORED: Readonly<Record<KvType, string>> = {
  f32: "alias stored = f32;\n",
  f16: "enable f16;\nalias stored = f16;\n",
};

/** A kernel whatever its names. */
// deno-lint-ignore no-explicit-any
export type AnyKernel = Kernel<any, any>;

/** Exact: rows are copied, numbers compared. */
export const EXACT: Tolerance = { absolute: 0, relative: 0, reason: "nothing is computed" };

export function defineKernel<Buffer extends string, Param extends string, Constant extends string>(
  spec: KernelSpec<Buffer, Param, Constant>,
): Kernel<Buffer, Param | Constant> {
  return {
    stored: [],
    ...spec,
    record(recording, buffers, values) {
      recording.dispatch(this, buffers, values);
    },
  };
}
