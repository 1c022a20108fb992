/** Writes small PDF files: pages of lines in Helvetica, 12 points apart; an empty line is room. */

/** @param pages lines of each, from the top */
export function pdf(pages: readonly (readonly string[])[]): Uint8Array {
  const objects: string[] = [], id = (object: string) => objects.push(object);
  id("<< /Type /Catalog /Pages 2 0 R >>");
  const first = 4;
  id(`<< /Type /Pages /Count ${pages.length} /Kids [${pages.map((_, i) => `${first + 2 * i} 0 R`).join(" ")}] >>`);
  id("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>");
  for (const lines of pages) {
    const shown = lines.map((line) => `(${line.replace(/[()\\]/g, "\\$&")}) Tj T*`).join("\n");
    const text = lines.length > 0 ? `BT /F1 10 Tf 12 TL 72 720 Td\n${shown}\nET` : "0 0 100 100 re f";
    id(
      `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents ${
        objects.length + 2
      } 0 R >>`,
    );
    id(`<< /Length ${text.length} >>\nstream\n${text}\nendstream`);
  }
  let file = "%PDF-1.4\n";
  const offsets = objects.map((object, i) => {
    const offset = file.length;
    file += `${i + 1} 0 obj\n${object}\nendobj\n`;
    return offset;
  });
  const table = offsets.map((offset) => `${String(offset).padStart(10, "0")} 00000 n \n`).join("");
  file += `xref\n0 ${objects.length + 1}\n0000000000 65535 f \n${table}trailer\n` +
    `<< /Size ${objects.length + 1} /Root 1 0 R >>\nstartxref\n${file.length}\n%%EOF\n`;
  return new TextEncoder().encode(file);
}
