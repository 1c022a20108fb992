/** What a document is, by its first bytes: text, or something that must be converted first. */

/** How many bytes decide. */
export const SNIFFED_BYTES = 8192;

/** Share of control characters above which bytes are not text: text has next to none, random bytes a tenth. */
const MAX_CONTROL_SHARE = 0.05;

const READS = "text, Markdown, HTML, PDF, DOCX, PPTX, ODT, EPUB and mail can be read";

interface Magic {
  at?: number;
  bytes: string;
  /** What it is, with its article. */
  is: string;
  /** A command or step that makes text of `NAME`. */
  convert?: string;
}

const PANDOC = "pandoc NAME -t plain";

/** Signatures in Latin-1, the more telling ones first. */
const MAGICS: Magic[] = [
  { bytes: "{\\rtf", is: "an RTF document", convert: PANDOC },
  { bytes: "%!PS", is: "a PostScript document", convert: "ps2ascii NAME" },
  { bytes: "\xd0\xcf\x11\xe0", is: "an old Office document", convert: "libreoffice --convert-to txt NAME" },
  { bytes: "BZh", is: "a bzip2 archive", convert: "bunzip2 -c NAME" },
  { bytes: "\xfd7zXZ\0", is: "an xz archive", convert: "xz -dc NAME" },
  { bytes: "\x28\xb5\x2f\xfd", is: "a Zstandard archive", convert: "zstd -dc NAME" },
  { bytes: "7z\xbc\xaf\x27\x1c", is: "a 7z archive", convert: "7z x NAME" },
  { bytes: "Rar!\x1a\x07", is: "a RAR archive", convert: "unrar x NAME" },
  { at: 257, bytes: "ustar", is: "a tar archive", convert: "tar -xOf NAME" },
  { bytes: "\x89PNG\r\n", is: "a PNG image" },
  { bytes: "\xff\xd8\xff", is: "a JPEG image" },
  { bytes: "GIF8", is: "a GIF image" },
  { bytes: "II*\0", is: "a TIFF image" },
  { bytes: "MM\0*", is: "a TIFF image" },
  { at: 8, bytes: "WEBP", is: "a WebP image" },
  { at: 8, bytes: "WAVE", is: "a WAV recording" },
  { at: 4, bytes: "ftyp", is: "an MP4 or similar recording" },
  { bytes: "ID3", is: "an MP3 recording" },
  { bytes: "OggS", is: "an Ogg recording" },
  { bytes: "fLaC", is: "a FLAC recording" },
  { bytes: "\x7fELF", is: "an ELF program" },
  { bytes: "\xcf\xfa\xed\xfe", is: "a Mach-O program" },
  { bytes: "\xca\xfe\xba\xbe", is: "a Java class or Mach-O program" },
  { bytes: "\0asm", is: "a WebAssembly module" },
  { bytes: "SQLite format 3\0", is: "an SQLite database", convert: "sqlite3 NAME .dump" },
  { bytes: "PAR1", is: "a Parquet table" },
  { bytes: "GGUF", is: "a GGUF model" },
];

/** What a saved state (`state/file.ts`) begins with, behind the length of its header. */
const STATE = '{"__metadata__":{"format":"palimpsest.state"';

/** Signatures that a text may well start with: they count only where the bytes are not text. */
const WEAK = new Set(["BZh", "GIF8", "WEBP", "WAVE", "ftyp", "ID3", "OggS", "fLaC", "PAR1", "GGUF", "ustar"]);

/** Kinds of ZIP, by an entry's name near its beginning. */
const ZIP_KINDS: [string, string, string][] = [
  ["xl/", "an Excel workbook (XLSX)", "libreoffice --convert-to csv NAME"],
  [
    "application/vnd.oasis.opendocument",
    "an OpenDocument file of another kind than text and slides",
    "libreoffice --convert-to csv NAME",
  ],
];

/** Kinds of ZIP by extension, for archives whose telling entry comes late. */
const ZIP_EXTENSIONS: Record<string, number> = { xlsx: 0, ods: 1 };

/** Why a document's first bytes cannot be read as text, as a predicate ("is a PDF; …"), or null where they can. */
export function notText(name: string, head: Uint8Array): string | null {
  const latin1 = String.fromCharCode(...head.subarray(0, SNIFFED_BYTES));
  const binary = looksBinary(head);
  const convertFirst = (is: string, convert?: string) =>
    `is ${is}; ${READS}` +
    (convert === undefined ? "" : `: convert it first, e.g. with ${convert.replace("NAME", () => name)}`);

  if (latin1.startsWith(STATE, 8)) return `is a memory that palimpsest read has kept: --state ${name} asks it`;
  if (latin1.startsWith("PK\x03\x04")) {
    const byExtension = ZIP_EXTENSIONS[name.split(".").at(-1)!.toLowerCase()];
    const kind = ZIP_KINDS.find(([entry]) => latin1.includes(entry)) ?? ZIP_KINDS[byExtension ?? -1];
    return kind ? convertFirst(kind[1], kind[2]) : convertFirst("a ZIP archive", "unzip -p NAME");
  }
  const magic = MAGICS.find(({ at = 0, bytes }) => latin1.startsWith(bytes, at) && (binary || !WEAK.has(bytes)));
  if (magic) return convertFirst(magic.is, magic.convert);
  if (head.includes(0)) return NUL_REASON;
  return binary ? `is binary: its beginning is full of control characters; ${READS}` : null;
}

/** Said of NUL bytes, which UTF-8 text never has. */
export const NUL_REASON =
  "has NUL bytes, so it is binary or UTF-16 without a byte order mark, which works after iconv -f UTF-16LE -t UTF-8";

function looksBinary(head: Uint8Array): boolean {
  let controls = 0;
  for (const byte of head) {
    if (byte === 0) return true;
    // Tab to carriage return, backspace and escape stand in terminal recordings and man pages.
    if ((byte < 0x20 && !(byte >= 0x08 && byte <= 0x0d) && byte !== 0x1b) || byte === 0x7f) controls++;
  }
  return controls > MAX_CONTROL_SHARE * head.length;
}
