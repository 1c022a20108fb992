/** What every source of models gives and is given. */

/** A file of a model that is a folder. */
export interface FolderFile {
  file: string;
  size: number;
  sha256: string;
}

/** Where on a hub a model came from. */
export interface HubOrigin {
  repository: string;
  /** Path in the repository; null for a folder of several files. */
  file: string | null;
  /** As it was asked for: a branch, a tag or a commit. */
  revision: string;
  /** What that was. */
  commit: string;
}

/** A complete file or folder with verified checksums, under a temporary name that `addToStore` renames. */
export interface FetchedFile {
  temporary: string;
  /** Name it should have in the store. */
  file: string;
  /** Of a folder, that of the list of its files (`core/model_hash.ts`). */
  sha256: string;
  size: number;
  /** Where it came from, in words. */
  source: string;
  /** Of a folder: what is in it. */
  files?: FolderFile[];
  hub?: HubOrigin;
}

/** Tells how far a download is; total in bytes, when known. */
export type FetchProgress = (phase: string, done: number, total?: number) => void;

/** How a source is asked for a file. */
export interface FetchOptions {
  /** Folder for temporary files, on the disk of the store, so that the last step is a rename. */
  folder: string;
  progress: FetchProgress;
  /** One sentence that the user should know. */
  remark: (text: string) => void;
  signal: AbortSignal;
  /** Told what a hub's model is and would be called, before its bytes are fetched; may refuse by throwing. */
  onChosen?: (origin: HubOrigin, name: string) => Promise<void>;
}
