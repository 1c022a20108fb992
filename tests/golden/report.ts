/** What a golden vector is, and how a measured number is held against the one that was asked for. */

/** One comparison. */
export interface Check {
  ok: boolean;
  /** In words, with the figures. */
  text: string;
}

/** One reference file (or a part of one that can be told apart), ready to be run. */
export interface Vector {
  /** Path below the golden folder, and what of it. */
  name: string;
  /** Why nothing here can compute it. */
  unsupported?: string;
  /** Why it cannot be run on this machine. */
  unavailable?: string;
  run(): Promise<Check[]>;
}

/** A vector that nothing here can compute. */
export function notYet(name: string, unsupported: string): Vector {
  return { name, unsupported, run: () => Promise.reject(new Error(`${name} is not yet supported: ${unsupported}`)) };
}

/** A vector that cannot be run on this machine. */
export function notRun(name: string, unavailable: string): Vector {
  return { name, unavailable, run: () => Promise.reject(new Error(`${name} cannot be run: ${unavailable}`)) };
}

/** Every number within `tolerance`; NaN, and another count of numbers, fail. */
export function close(what: string, measured: ArrayLike<number>, asked: ArrayLike<number>, tolerance: number): Check {
  if (measured.length !== asked.length) {
    return { ok: false, text: `${what}: asked for ${asked.length} numbers, measured ${measured.length}` };
  }
  let worst = 0, at = 0;
  for (let i = 0; i < asked.length; i++) {
    const difference = Math.abs(measured[i]! - asked[i]!);
    if (!(difference <= worst)) {
      worst = difference;
      at = i;
      if (Number.isNaN(difference)) break;
    }
  }
  const ok = worst <= tolerance; // false for NaN
  const where = ok ? "" : ` (number ${at}: asked ${asked[at]}, measured ${measured[at]})`;
  return { ok, text: `${what}: largest difference ${short(worst)}, tolerance ${short(tolerance)}${where}` };
}

/** As `close`, with the tolerance in parts of the largest number that was asked for. */
export function closeRelative(what: string, measured: ArrayLike<number>, asked: ArrayLike<number>, tolerance: number) {
  let largest = 0;
  for (let i = 0; i < asked.length; i++) largest = Math.max(largest, Math.abs(asked[i]!));
  return close(what, measured, asked, tolerance * largest);
}

/** Every number equal. */
export function equal(what: string, measured: ArrayLike<number>, asked: ArrayLike<number>): Check {
  if (measured.length !== asked.length) {
    return { ok: false, text: `${what}: asked for ${asked.length} numbers, measured ${measured.length}` };
  }
  let differing = 0, at = -1;
  for (let i = 0; i < asked.length; i++) {
    if (measured[i] === asked[i]) continue;
    differing++;
    if (at < 0) at = i;
  }
  const where = at < 0 ? "" : ` (number ${at}: asked ${asked[at]}, measured ${measured[at]})`;
  return { ok: differing === 0, text: `${what}: ${differing} of ${asked.length} differ, tolerance 0${where}` };
}

/** Enough of them. */
export function atLeast(what: string, measured: number, asked: number, of: number): Check {
  return { ok: measured >= asked, text: `${what}: ${measured} of ${of}, asked for ${asked}` };
}

function short(value: number): string {
  return value === 0 || Number.isNaN(value) ? String(value) : value.toExponential(1);
}

/** Lines on stdout, one per vector and one per failed check, and the count. */
export class Report {
  passed = 0;
  failed = 0;
  notYet = 0;
  notRun = 0;

  constructor(private readonly print: (line: string) => void) {}

  async run(vector: Vector): Promise<void> {
    if (vector.unsupported) {
      this.notYet++;
      return this.line("not yet supported", vector.name, vector.unsupported);
    }
    if (vector.unavailable) {
      this.notRun++;
      return this.line("not run", vector.name, vector.unavailable);
    }
    const checks = await vector.run().catch((error): Check[] => [{ ok: false, text: String(error) }]);
    // a vector without a single comparison has shown nothing
    const ok = checks.length > 0 && checks.every((check) => check.ok);
    if (ok) this.passed++;
    else this.failed++;
    this.line(ok ? "passed" : "failed", vector.name, "");
    for (const check of checks) this.print(`    ${check.ok ? "" : "FAILED "}${check.text}`);
  }

  /** The closing line. */
  summary(): string {
    return `${this.passed} passed, ${this.failed} failed, ${this.notYet} not yet supported` +
      (this.notRun > 0 ? `, ${this.notRun} not run` : "");
  }

  private line(status: string, name: string, reason: string): void {
    this.print(`${status.padEnd(18)} ${name}${reason ? `: ${reason}` : ""}`);
  }
}
