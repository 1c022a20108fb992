/** What a compiled binary knows of its making: `compile.ts` puts a module with the facts in this one's place. Null in a checkout. */
export const build: { commit: string | null } | null = null;
