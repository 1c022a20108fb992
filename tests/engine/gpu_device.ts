import { openDevice } from "../../proto-device.mjs";
export async function openTestDevice(): Promise<GPUDevice> {
  return (await openDevice() as any).device;
}
