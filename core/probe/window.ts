/**
 * The recent window: the chunk's last rows ask, as in SnapKV (arXiv 2404.14469). Their scores come with the chunk's own pass.
 * Differs: the window is a chunk's, not the prompt's end; the window's own slots are protected by the recent window, not by a raised score.
 */
import type { Probe } from "../policy.ts";

/** @param rows queries that ask (kvpress: 64, the paper: 32). A shorter chunk asks with what it has. */
export const window = (rows = 64): Probe => ({
  name: rows === 64 ? "window" : `window-${rows}`,
  windowRows: rows,
  needs: { mass: true },
  look: ({ chunk, tokens }) => Promise.resolve({ ...chunk.mass!, rows: Math.min(rows, tokens.length) }),
});
