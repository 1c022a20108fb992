/**
 * Every layer gets the same, and the highest scores of all its heads stay: as `ada`, without a floor, so a head may be left with its protected slots.
 * DefensiveKV's allocation (arXiv 2510.13334), whose scores have a floor of their own.
 */
import type { Allocate } from "../policy.ts";
import { ada } from "./ada.ts";

export const layer = (): Allocate => ({ ...ada(0), name: "layer" });
