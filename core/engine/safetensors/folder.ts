/** Which files of a Hugging Face folder, or of a hub's repository, make a model. Everything else there is of no use to us. */

/** The weights in one file. */
export const WEIGHTS = "model.safetensors";
/** What says in which of several files a tensor stands. */
export const INDEX = `${WEIGHTS}.index.json`;

/** What stands beside the weights: the first is needed to know the shapes, the second for texts, the others where they are there. */
export const BESIDE = [
  "config.json",
  "tokenizer.json",
  "tokenizer_config.json",
  "chat_template.jinja",
  "generation_config.json",
] as const;

const SHARD = /^model-\d+-of-\d+\.safetensors$/;

/**
 * Of all files of a folder or repository, those that a model in safetensors needs: what `openSafetensors` may read.
 * @returns an empty list where there is no such model
 */
export function neededFiles(names: readonly string[]): string[] {
  const weights = names.includes(WEIGHTS)
    ? [WEIGHTS]
    : names.includes(INDEX)
    ? [INDEX, ...names.filter((name) => SHARD.test(name))]
    : [];
  if (weights.length === 0 || !names.includes(BESIDE[0])) return [];
  return [...BESIDE.filter((name) => names.includes(name)), ...weights];
}
