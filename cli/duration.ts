/** `--timeout`: how long something may take. */
const scales: Record<string, number> = { ms: 1, "": 1000, s: 1000, m: 60_000, h: 3_600_000 };

/** The longest that a timer can wait. */
const MOST = 2 ** 31 - 1;

/** "30s", "5m", "1.5h", "500ms" → milliseconds; a bare number is seconds and 0 no limit, as of timeout(1); null for anything else */
export function parseDuration(text: string): number | null {
  const found = /^\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|)\s*$/i.exec(text);
  const milliseconds = found ? Number(found[1]) * scales[found[2]!.toLowerCase()]! : NaN;
  return milliseconds <= MOST ? Math.ceil(milliseconds) : null;
}
