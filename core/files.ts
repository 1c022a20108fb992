/** What `core/` asks of a file system: an adapter at the edge (`cli/host.ts`) supplies it, so that `core/` names no runtime. */

/** A file opened for reading at any offset. */
export interface RandomAccessFile {
  readonly path: string;
  /** Size in bytes when it was opened. */
  readonly size: number;
  /** Reads exactly `length` bytes at `offset`. @throws {ModelError} where the file ends earlier. */
  read(offset: number, length: number): Promise<Uint8Array>;
  close(): Promise<void>;
}

export interface FileSystem {
  open(path: string): Promise<RandomAccessFile>;
  exists(path: string): Promise<boolean>;
  /** Names of what is in a folder; null where the path is none. */
  list(path: string): Promise<string[] | null>;
  /** Whole file as bytes. */
  readFile(path: string): Promise<Uint8Array>;
  /**
   * Writes a file through a temporary name in the same folder and renames it, so that a reader sees all of it or nothing; `write` may be called many
   * times. The temporary file is removed when `produce` throws.
   */
  writeAtomically(path: string, produce: (write: (bytes: Uint8Array) => Promise<void>) => Promise<void>): Promise<void>;
  join(...parts: string[]): string;
  /** Hex SHA-256 of a file, streamed. */
  sha256(path: string): Promise<string>;
}
