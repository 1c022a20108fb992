/** May a stream be coloured? */
import process from "node:process";

/**
 * `--no-color` and `--color` first; then NO_COLOR (non-empty) wins over FORCE_COLOR and CLICOLOR_FORCE; else a terminal that is not dumb.
 */
export function useColor(
  flag: boolean | undefined,
  terminal: boolean,
  environment: Record<string, string | undefined> = process.env,
): boolean {
  if (flag !== undefined) return flag;
  if (environment.NO_COLOR) return false;
  const forced = environment.FORCE_COLOR || environment.CLICOLOR_FORCE;
  if (forced) return forced !== "0";
  return terminal && environment.TERM !== "dumb";
}
