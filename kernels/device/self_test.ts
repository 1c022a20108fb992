/** Known-answer test of a device: drivers that are missing, broken or made up run everything without an error and give zeros. */
import { DeviceError } from "../../core/errors.ts";
import { readBuffer } from "./read.ts";
import plain from "./self_test.wgsl" with { type: "text" };
import half from "./self_test_f16.wgsl" with { type: "text" };
import { STORAGE } from "./usage.ts";

const ELEMENTS = 1024, LANES = 64, GROUPS = ELEMENTS / LANES;

/**
 * Computes, reduces and, where the device has `shader-f16`, computes in half precision, and looks at every value.
 * @returns what is wrong with half precision, which nobody needs to use; null where it is right, or not there
 * @throws {DeviceError} with the first value that is wrong
 */
export async function selfTest(device: GPUDevice, name: string): Promise<DeviceError | null> {
  const answers = await run(device, name, plain, Float32Array, ELEMENTS + GROUPS);
  for (let i = 0; i < ELEMENTS; i++) expect(name, "element", i, answers[i]!, 3 * i + 1);
  for (let group = 0; group < GROUPS; group++) {
    const first = group * LANES, sum = LANES + 3 * (LANES * first + LANES * (LANES - 1) / 2);
    expect(name, "sum over workgroup", group, answers[ELEMENTS + group]!, sum);
  }
  if (!device.features.has("shader-f16")) return null;
  try {
    const halves = await run(device, name, half, Float16Array, ELEMENTS);
    for (let i = 0; i < ELEMENTS; i++) expect(name, "f16 element", i, halves[i]!, i / 2 + 1);
    return null;
  } catch (error) {
    if (error instanceof DeviceError) return error;
    throw error;
  }
}

function expect(name: string, what: string, index: number, met: number, wanted: number): void {
  if (met === wanted) return;
  throw new DeviceError(
    `GPU adapter "${name}" computes wrongly: ${what} ${index} of its self-test is ${met}, not ${wanted}. ` +
      "Another driver or --device cpu works",
  );
}

async function run<T extends Float32Array | Float16Array>(
  device: GPUDevice,
  name: string,
  code: string,
  Numbers: { new (buffer: ArrayBuffer): T; BYTES_PER_ELEMENT: number },
  count: number,
): Promise<T> {
  device.pushErrorScope("validation");
  const buffer = device.createBuffer({ size: count * Numbers.BYTES_PER_ELEMENT, usage: STORAGE });
  try {
    const module = device.createShaderModule({ code });
    const pipeline = device.createComputePipeline({ layout: "auto", compute: { module, entryPoint: "main" } });
    const group = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [{ binding: 0, resource: { buffer } }],
    });
    const encoder = device.createCommandEncoder(), pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(GROUPS);
    pass.end();
    device.queue.submit([encoder.finish()]);
    const error = await device.popErrorScope();
    if (error) {
      throw new DeviceError(`GPU adapter "${name}" refuses its self-test: ${error.message}. --device cpu works`);
    }
    return new Numbers(await readBuffer(device, buffer, count * Numbers.BYTES_PER_ELEMENT));
  } finally {
    buffer.destroy();
  }
}
