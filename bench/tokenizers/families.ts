/** Families of vocabularies, each with the package that has its tokenizer.json and what llama.cpp's converter calls it. */
export interface Family {
  package: string;
  /** `tokenizer.ggml.pre` of a byte-level vocabulary, or null for SentencePiece's. */
  pre: string | null;
  /** SentencePiece's puts a space before every text: documents get none, so that ours is asked for ` text`. */
  spaceBefore?: boolean;
  /** The original rewrites text to this form. */
  form?: "NFC";
}

export const families: { [name: string]: Family } = {
  "gpt-2": { package: "gpt2", pre: "gpt-2" },
  "llama 3.2": { package: "llama3_2", pre: "llama-bpe" },
  "qwen3": { package: "qwen3", pre: "qwen2", form: "NFC" },
  "mistral nemo": { package: "mistral_nemo", pre: "tekken" },
  "gpt-4o": { package: "gpt4o", pre: "gpt-4o" },
  "gpt-3.5": { package: "gpt35turbo", pre: "dbrx" },
  "deepseek v3": { package: "deepseek_v3", pre: "deepseek-v3" },
  "command r": { package: "command_r_plus", pre: "command-r", form: "NFC" },
  // The package is called llama2, its vocabulary is that of Mistral 7B's tokenizer.model, piece for piece.
  "mistral 7b": { package: "llama2", pre: null, spaceBefore: true },
  "gemma 3": { package: "gemma3", pre: null },
};
