/**
 * Every error a user can meet. Each class has one exit code (`design.md` section 6); the table from class to code lives here and nowhere else.
 * Messages say what is wrong, the value met and what would work.
 */
export class PalimpsestError extends Error {
  /** Process exit code of the command line. */
  readonly code: number = 1;
  override name = "PalimpsestError";
}

/** Wrong flags, names or combinations: exit 2. */
export class UsageError extends PalimpsestError {
  override readonly code = 2;
  override name = "UsageError";
}

/** A document is missing, unreadable, of a wrong type, or empty: exit 3. */
export class InputError extends PalimpsestError {
  override readonly code = 3;
  override name = "InputError";
}

/** The document, budget or memory does not fit: exit 4. */
export class BudgetError extends PalimpsestError {
  override readonly code = 4;
  override name = "BudgetError";
}

/** A model or pack is missing, corrupt, unsupported or of another model: exit 5. */
export class ModelError extends PalimpsestError {
  override readonly code = 5;
  override name = "ModelError";
}

/** A device cannot be opened or failed: exit 6. */
export class DeviceError extends PalimpsestError {
  override readonly code = 6;
  override name = "DeviceError";
}

/** The user interrupted (Ctrl-C): exit 130. */
export class InterruptedError extends PalimpsestError {
  override readonly code = 130;
  override name = "InterruptedError";
}

/** @throws {InterruptedError} once the signal was aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new InterruptedError("Interrupted");
}
