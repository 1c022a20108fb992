"""Ids of texts by Hugging Face's tokenizers, the original in Rust.

    python reference.py ids TOKENIZER_JSON TEXTS_JSON OUT    for each text its count of ids and the ids, uint32 little-endian
    python reference.py templates FOLDER REQUESTS_JSON OUT   each rendered with the folder's chat template, as JSON
"""
import array
import json
import sys


def ids(tokenizer_json, texts, out):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(tokenizer_json)
    with open(texts, encoding="utf-8") as file, open(out, "wb") as result:
        for text in json.load(file):
            found = tokenizer.encode(text, add_special_tokens=False).ids
            array.array("I", [len(found), *found]).tofile(result)


def templates(folder, requests, out):
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    with open(requests, encoding="utf-8") as file:
        rendered = [
            tokenizer.apply_chat_template(
                request["messages"], tokenize=False, add_generation_prompt=True, **request.get("variables", {})
            )
            for request in json.load(file)
        ]
    with open(out, "w", encoding="utf-8") as result:
        json.dump(rendered, result, ensure_ascii=False)


if __name__ == "__main__":
    {"ids": ids, "templates": templates}[sys.argv[1]](*sys.argv[2:])
