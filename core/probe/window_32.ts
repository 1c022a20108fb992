/** As `window`, with the window of SnapKV's and DefensiveKV's papers. */
import type { Probe } from "../policy.ts";
import { window } from "./window.ts";

export const window32 = (): Probe => window(32);
