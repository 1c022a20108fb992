/** Some lines of a batch failed, all were tried. */
export const BATCH_FAILED = 7;

/** The exit codes, in words: for `--help` and the man page. */
export const exitCodes: readonly (readonly [code: number, short: string, more: string])[] = [
  [0, "answered", ""],
  [1, "unexpected failure", "also a cache folder or a stdout that cannot be written"],
  [2, "usage", "unknown flag, value, setting or policy; the question or the document is missing"],
  [3, "input", "a document is missing, unreadable, empty, a directory or not text"],
  [4, "does not fit", "budget too small or larger than the memory; full or --strict would have to evict"],
  [5, "model", "not on this machine, damaged, of another architecture, wrong checksum"],
  [6, "device", "it cannot be opened or failed; no Bun or Deno was found"],
  [BATCH_FAILED, "batch: some lines failed", "all were tried; their results say why, and a rerun tries them again"],
  [124, "--timeout was over", "finished text stays on stdout"],
  [130, "interrupted", "by Ctrl-C; 143 after SIGTERM"],
  [141, "closed pipe", "the reader of stdout closed the pipe"],
];
