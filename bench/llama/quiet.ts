/**
 * Whether somebody else uses the machine. Timings are worth nothing then, above all llama.cpp's: its threads spin at
 * barriers, and where two of them must share a core it decodes up to a hundred times slower. Linux only, elsewhere
 * null.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/**
 * Milliseconds of processor time that anybody has used since the machine started, and what the hypervisor has withheld.
 */
export function busyMs(): number | null {
  try {
    const total = readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.split(/\s+/).map(Number);
    const [, user, nice, system, , , irq, softirq, steal] = total;
    return (user! + nice! + system! + irq! + softirq! + steal!) * 10;
  } catch {
    return null;
  }
}

/** Share of the machine that was busy from one moment to another, without `ownMs` of processor time; 0 to 1. */
export function foreignShare(busyBefore: number | null, elapsedMs: number, ownMs: number): number | null {
  const busyAfter = busyMs();
  if (busyBefore === null || busyAfter === null) return null;
  return Math.min(1, Math.max(0, (busyAfter - busyBefore - ownMs) / (elapsedMs * availableParallelism())));
}

/** More than this share makes a run "disturbed". */
export const DISTURBED = 0.05;

/** Waits until the machine has been quiet for two seconds, at most so long. */
export async function waitForQuiet(seconds: number): Promise<void> {
  const deadline = performance.now() + seconds * 1000;
  while (performance.now() < deadline) {
    const before = busyMs(), started = performance.now();
    await new Promise((done) => setTimeout(done, 2000));
    const share = foreignShare(before, performance.now() - started, 0);
    if (share === null || share <= DISTURBED) return;
  }
}
