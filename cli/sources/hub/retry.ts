/** Trying again: what may pass by itself, after a while that grows, and not for ever. */
import { PalimpsestError } from "../../../core/errors.ts";
import { HubRefusal } from "./access.ts";

/** Could another try help? A full disk, Ctrl-C, a wrong name or a missing permission stay what they are. */
export function mayPass(error: unknown, signal: AbortSignal): boolean {
  if (signal.aborted || error instanceof PalimpsestError) return false;
  if (error instanceof HubRefusal) return error.status === 408 || error.status === 429 || error.status >= 500;
  const { code } = error as { code?: unknown };
  return !["ENOSPC", "EDQUOT", "EACCES", "EPERM", "EROFS", "EIO", "ENOENT", "EFBIG"].includes(String(code));
}

/** Waits before the try after so many failures: 0.25 s, doubled each time, or as long as the hub asks for, a minute at most. */
export async function backOff(failures: number, error: unknown, signal: AbortSignal): Promise<void> {
  const asked = error instanceof HubRefusal ? error.retryAfterMs ?? 0 : 0;
  const waitMs = Math.min(60_000, Math.max(asked, 250 * 2 ** (failures - 1)));
  await new Promise<void>((done) => {
    const timer = setTimeout(finish, waitMs);
    signal.addEventListener("abort", finish, { once: true });
    function finish() {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      done();
    }
  });
  signal.throwIfAborted();
}

/** Runs `work` up to `tries` times. */
export async function persistently<T>(tries: number, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
  for (let failures = 1;; failures++) {
    try {
      return await work();
    } catch (error) {
      if (failures === tries || !mayPass(error, signal)) throw error;
      await backOff(failures, error, signal);
    }
  }
}
