/**
 * The newest token asks: one row, the chunk's last (TOVA, arXiv 2401.06104). With aggregate `layer-mean` all heads of a layer keep the same tokens.
 * Differs: evicts once per chunk, not after every token; the newest tokens are protected (`RECENT`), where TOVA protects nothing.
 */
import type { Probe } from "../policy.ts";
import { window } from "./window.ts";

export const tova = (): Probe => ({ ...window(1), name: "tova" });
