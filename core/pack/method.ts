/** Methods that learn something, by the name that their packs state and files bear. */
export const PACK_METHODS = ["judgeq", "metasoft", "indexmem"] as const;

export type PackMethod = (typeof PACK_METHODS)[number];

/** What makes a pack. @param model path of a model's file */
export function trainingCommand(method: PackMethod, model = "MODEL.gguf"): string {
  return `python -m training.${method} ${/^[\w./-]+$/.test(model) ? model : JSON.stringify(model)}`;
}
