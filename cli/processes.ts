/** Other processes of this machine: what they left behind counts as long as they run. */
import { readFileSync, readlinkSync } from "node:fs";
import process from "node:process";

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: string }).code === "EPERM";
  }
}

/** Where process ids mean what they mean here: this machine since it was started, and this container of it. Empty where the system does not say. */
export function processSpace(): string {
  try {
    return `${readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}`;
  } catch {
    return "";
  }
}
