/** What every source of models gives and is given. */

/** A complete file with a verified checksum, under a temporary name that `addToStore` renames. */
export interface FetchedFile {
  temporary: string;
  /** Name it should have in the store. */
  file: string;
  sha256: string;
  size: number;
  /** Where it came from, in words. */
  source: string;
}

/** Tells how far a download is; total in bytes, when known. */
export type FetchProgress = (phase: string, done: number, total?: number) => void;

/** How a source is asked for a file. */
export interface FetchOptions {
  /** Folder for temporary files, on the disk of the store, so that the last step is a rename. */
  folder: string;
  progress: FetchProgress;
  signal: AbortSignal;
}
