/**
 * Models all of whose layers see the newest so many tokens only. Within as many positions such a model is one without a window, and so it is run: no
 * more positions count as trained, and keys of older slots that stay move up under compact positions.
 */
import type { ConfigForm } from "./architecture.ts";

export const withinWindow = (key: string): ConfigForm => (plain, keys) => {
  const window = keys.value(key) ?? null;
  if (window === null) return plain;
  return { ...plain, trainedPositions: Math.min(plain.trainedPositions, keys.whole(key)) };
};
