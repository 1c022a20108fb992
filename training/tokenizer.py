"""Text to token ids and the text around a document, from the same GGUF file as the tool reads."""
import jinja2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPLITS = {  # tokenizer.ggml.pre -> the patterns that cut a text, one after the other
    "smollm": [r"\p{N}", GPT2],  # every digit alone: the tokenizer that transformers rebuilds from a GGUF file loses this
    "gpt-2": [GPT2],
    "llama-bpe": [LLAMA3],
    "qwen2": [LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")],
}
CONTROL, USER_DEFINED = 3, 4


class Text:
    def __init__(self, model):
        pre, tokens = model.field("tokenizer.ggml.pre"), model.field("tokenizer.ggml.tokens")
        if model.field("tokenizer.ggml.model") != "gpt2" or pre not in SPLITS:
            raise SystemExit(f"Cannot train for this tokenizer ({pre}); {', '.join(SPLITS)} work")
        self.tokens = {token: i for i, token in enumerate(tokens)}
        merges = [tuple(m.split(" ")) for m in model.field("tokenizer.ggml.merges")]
        self.bpe = Tokenizer(models.BPE(vocab=self.tokens, merges=merges))
        steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in SPLITS[pre]]
        self.bpe.pre_tokenizer = pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
        self.bpe.decoder = decoders.ByteLevel()
        special = [t for t, kind in zip(tokens, model.field("tokenizer.ggml.token_type")) if kind in (CONTROL, USER_DEFINED)]
        self.bpe.add_special_tokens([AddedToken(t, normalized=False) for t in special])
        self.end = model.field("tokenizer.ggml.eos_token_id")
        turn_end = self.tokens.get("<|im_end|>")
        self.ends = {self.end} | ({turn_end} if turn_end is not None else set())
        mark = "\ue0d1"
        template = jinja2.Environment(trim_blocks=True, lstrip_blocks=True).from_string(model.field("tokenizer.chat_template"))
        bos = tokens[model.field("tokenizer.ggml.bos_token_id") or 0]
        rendered = template.render(messages=[{"role": "user", "content": mark}], add_generation_prompt=True, bos_token=bos, eos_token=tokens[self.end])
        self.head, self.answer_start = rendered.split(mark)

    def encode(self, text):
        return self.bpe.encode(text, add_special_tokens=False).ids

    def question(self, question):
        """What follows a document: the question and the start of the assistant's turn."""
        return self.encode("\n\n" + question + self.answer_start)
