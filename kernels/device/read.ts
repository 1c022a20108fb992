/** Reading a buffer back: the one thing that waits for the GPU. */
import { BUFFER, MAP_MODE_READ } from "./usage.ts";

/** Copies the first `bytes` of a buffer (a multiple of 4) to the CPU, after everything submitted before. */
export async function readBuffer(device: GPUDevice, buffer: GPUBuffer, bytes: number, from = 0): Promise<ArrayBuffer> {
  const staging = device.createBuffer({ size: bytes, usage: BUFFER.MAP_READ | BUFFER.COPY_DST });
  try {
    const encoder = device.createCommandEncoder();
    encoder.copyBufferToBuffer(buffer, from, staging, 0, bytes);
    device.queue.submit([encoder.finish()]);
    await staging.mapAsync(MAP_MODE_READ);
    return staging.getMappedRange().slice(0);
  } finally {
    staging.destroy();
  }
}
