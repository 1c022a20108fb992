/** One case of one kernel on one device, inside error scopes, against the kernel's reference. */
import type { Gpu, Numbers } from "../../kernels/gpu.ts";
import type { AnyKernel, Case, Tolerance } from "../../kernels/kernel.ts";

/** Of a number, the distance of its neighbours in half precision, at most; and the least number that there is in it. Some rows are rounded twice. */
const HALF_ULP = 2 ** -10, LEAST_HALF = 2 ** -24;

/**
 * Rows of the cache are stored in the GPU's `kvType`; the reference computes on what is stored, and what it writes is rounded as it would be there.
 * @returns what is wrong, null where all is as the reference says
 */
export async function runCase(gpu: Gpu, kernel: AnyKernel, given: Case<string, string>): Promise<string | null> {
  const names = Object.keys(kernel.bindings);
  const isHalf = (name: string) => gpu.kvType === "f16" && kernel.stored.includes(name);
  const one = {
    ...given,
    buffers: Object.fromEntries(
      names.map((name) => [name, isHalf(name) ? Float16Array.from(given.buffers[name]!) : given.buffers[name]!]),
    ),
  };
  const wanted = Object.fromEntries(
    names.map((
      name,
    ) => [name, (isHalf(name) ? Float32Array.from(one.buffers[name]!) : one.buffers[name]!.slice()) as Numbers]),
  );
  kernel.cpu(wanted, one.values);
  for (const name of names) {
    if (kernel.bindings[name] === "read" && !same(wanted[name]!, one.buffers[name]!)) {
      return `the reference changes ${name}`;
    }
  }

  gpu.device.pushErrorScope("validation");
  gpu.device.pushErrorScope("internal");
  const buffers = Object.fromEntries(names.map((name) => [name, gpu.borrow(one.buffers[name]!.byteLength)]));
  for (const name of names) gpu.write(buffers[name]!, one.buffers[name]!);
  const recording = gpu.record();
  kernel.record(recording, buffers, one.values);
  recording.submit();
  const errors = [await gpu.device.popErrorScope(), await gpu.device.popErrorScope()];
  const error = errors.find((found) => found !== null);
  let wrong = error ? error.message : null;
  for (const name of names) {
    if (kernel.bindings[name] === "read") continue;
    const met = await gpu.read(buffers[name]!, one.buffers[name]!.slice() as Numbers);
    const { absolute, relative } = one.tolerance ?? kernel.tolerance;
    wrong ??= isHalf(name)
      ? difference(name, met, Float16Array.from(wanted[name]!), {
        absolute: absolute + (absolute + relative > 0 ? LEAST_HALF : 0),
        relative: relative + (absolute + relative > 0 ? 2 * HALF_ULP : 0),
      })
      : difference(name, met, wanted[name]!, { absolute, relative });
  }
  for (const name of names) gpu.release(buffers[name]!);
  return wrong;
}

function same(a: Numbers, b: Numbers): boolean {
  return a.every((value, i) => Object.is(value, b[i]));
}

function difference(
  name: string,
  met: Numbers,
  wanted: Numbers,
  { absolute, relative }: Omit<Tolerance, "reason">,
): string | null {
  const integers = met instanceof Int32Array || met instanceof Uint32Array;
  for (let i = 0; i < met.length; i++) {
    const a = met[i]!, b = wanted[i]!;
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    if (integers || !(Math.abs(a - b) <= absolute + relative * Math.abs(b))) {
      return `${name}[${i}] is ${a}, and ${b} by the reference`;
    }
  }
  return null;
}
