/** What tells a report from every other page: only a report is replaced by one, and none is read as a document of its folder. */
export const REPORT_MARK = `<meta name="generator" content="Palimpsest report">`;

/** @param head of a file, 512 bytes or more */
export const isReport = (head: Uint8Array): boolean =>
  new TextDecoder().decode(head.subarray(0, 512)).includes(REPORT_MARK);
