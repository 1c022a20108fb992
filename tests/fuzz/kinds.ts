/** All kinds of input. */
import type { Kind } from "./kind.ts";
import { engine } from "./kinds/engine.ts";
import { formats } from "./kinds/formats.ts";
import { gguf } from "./kinds/gguf.ts";
import { pack } from "./kinds/pack.ts";
import { pattern } from "./kinds/pattern.ts";
import { safetensors } from "./kinds/safetensors.ts";
import { state } from "./kinds/state.ts";
import { template } from "./kinds/template.ts";
import { document, tasks } from "./kinds/text.ts";
import { tokenizer } from "./kinds/tokenizer.ts";
import { zip } from "./kinds/zip.ts";

export const kinds: readonly Kind[] = [
  gguf,
  safetensors,
  tokenizer,
  template,
  pattern,
  document,
  formats,
  pack,
  state,
  zip,
  tasks,
  engine,
];
