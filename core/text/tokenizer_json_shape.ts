/** What is read of a `tokenizer.json` and a `tokenizer_config.json`. */
import type { Shape } from "./json_shape.ts";

/** Of a normalizer, a pre-tokenizer or a decoder. */
const STEP: Shape = {
  needed: ["type"],
  fields: {
    type: "text",
    normalizers: { list: () => STEP },
    pretokenizers: { list: () => STEP },
    decoders: { list: () => STEP },
    pattern: { fields: { String: "text", Regex: "text" } },
    behavior: "text",
    content: "text",
    prepend_scheme: "text",
    invert: "flag",
    individual_digits: "flag",
    use_regex: "flag",
    split: "flag",
  },
};

const ADDED: Shape = {
  needed: ["id", "content"],
  fields: { id: "number", content: "text", special: "flag", lstrip: "flag", rstrip: "flag" },
};

export const TOKENIZER_JSON: Shape = {
  fields: {
    added_tokens: { list: ADDED },
    normalizer: STEP,
    pre_tokenizer: STEP,
    decoder: STEP,
    model: {
      fields: {
        type: "text",
        vocab: { either: [{ fields: {} }, { list: { list: { either: ["text", "number"] } } }] },
        merges: { list: { either: ["text", { list: "text" }] } },
        byte_fallback: "flag",
        fuse_unk: "flag",
        ignore_merges: "flag",
        unk_token: "text",
        unk_id: "number",
        end_of_word_suffix: "text",
        continuing_subword_prefix: "text",
      },
    },
  },
};

const TOKEN: Shape = { either: ["text", { needed: ["content"], fields: { content: "text" } }] };

export const TOKENIZER_CONFIG: Shape = {
  fields: {
    bos_token: TOKEN,
    eos_token: TOKEN,
    add_bos_token: "flag",
    chat_template: {
      either: ["text", { list: { needed: ["name", "template"], fields: { name: "text", template: "text" } } }],
    },
  },
};
