/** tokenizer.json with tokenizer_config.json, and the same as GGUF metadata: other types, ids, merges, patterns, added tokens. */
import { readdirSync, readFileSync } from "node:fs";
import { tokenizerOf } from "../../../core/text/model_tokenizer.ts";
import { fixture } from "../../host.ts";
import { ggufMetadata } from "../../tokenizer_metadata.ts";
import type { Kind } from "../kind.ts";
import { mutatedJson, spelledJson } from "../mutate.ts";
import { tryTokenizer } from "../use.ts";

/** Pieces of a fixture's vocabulary that are enough here. */
const MOST_PIECES = 600;

export const tokenizer: Kind = {
  name: "tokenizer",
  share: 16,
  codes: [5],
  prepare() {
    const folder = fixture("tokenizers"), encoder = new TextEncoder();
    const all = readdirSync(folder).filter((name) => name.endsWith(".json")).map((name) => {
      const { tokenizer, config, pre, spaceBefore } = JSON.parse(readFileSync(`${folder}/${name}`, "utf8"));
      const { model } = tokenizer;
      if (Array.isArray(model.vocab)) model.vocab = model.vocab.slice(0, MOST_PIECES);
      else {model.vocab = Object.fromEntries(
          Object.keys(model.vocab).slice(0, MOST_PIECES).map((piece, id) => [piece, id]),
        );}
      // ids without a gap: lists of a hundred thousand are not what is looked for
      const end = Array.isArray(model.vocab) ? model.vocab.length : MOST_PIECES;
      tokenizer.added_tokens = tokenizer.added_tokens.slice(0, 50)
        .map((token: { id: number }, i: number) => token.id < end ? token : { ...token, id: end + i });
      if (model.merges) model.merges = model.merges.slice(0, MOST_PIECES);
      return { tokenizer, config: config ?? {}, pre: pre ?? null, spaceBefore };
    });
    return Promise.resolve(async (random) => {
      const { tokenizer, config, pre, spaceBefore } = random.pick(all);
      const isGguf = random.chance(0.3) && tokenizer.model.type !== "Unigram";
      let metadata = new Map<string, unknown>();
      const stored: Record<string, string> = {};
      if (isGguf) {
        const plain = [...ggufMetadata(tokenizer, config, pre, spaceBefore)].map(([key, value]) =>
          [key, ArrayBuffer.isView(value) ? Array.from(value as unknown as number[]) : value] as const
        );
        metadata = new Map(Object.entries(mutatedJson(random, Object.fromEntries(plain)) as object));
      } else {
        // a vocabulary is large: changes there say the least
        const { model, ...others } = tokenizer, { vocab, merges, ...settings } = model;
        const part = random.below(5);
        const changed = part === 0
          ? { ...tokenizer, model: mutatedJson(random, model) }
          : part === 1
          ? { ...tokenizer, model: { ...mutatedJson(random, settings) as object, vocab, merges } }
          : { ...mutatedJson(random, others) as object, model };
        stored["tokenizer.json"] = spelledJson(random, changed);
        stored["tokenizer_config.json"] = spelledJson(random, part === 4 ? mutatedJson(random, config) : config);
        stored["generation_config.json"] = spelledJson(random, mutatedJson(random, { eos_token_id: [1, 2] }));
      }
      const opened = await tokenizerOf({
        path: "m",
        format: isGguf ? "gguf" : "safetensors",
        metadata,
        beside: (name) => Promise.resolve(name in stored ? encoder.encode(stored[name]) : null),
      });
      tryTokenizer(random, opened);
      return true;
    });
  },
};
