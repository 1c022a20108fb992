"""Documents to train on: passages of real texts and generated lists, with facts put in, and questions about them."""
import re

NAMES = "Mara Tobias Ingrid Felix Odette Ravi Helena Casper Yusuf Nadia Bruno Selma Akira Petra Leon Zofia Dario Amina Goran Lucia".split()
ADJECTIVES = "silver northern hidden old crimson quiet second wooden frozen upper narrow painted".split()
NOUNS = "vault archive gate cabinet tower locker chamber workshop engine library cellar harbour".split()
THINGS = {"fruit": "mango pear fig plum cherry quince".split(), "city": "Lisbon Oslo Lima Kyoto Cairo Riga".split(),
          "instrument": "cello flute harp oboe banjo drum".split(), "colour": "teal purple orange grey gold pink".split()}
SUMMARY = ["Summarise the text above in one or two sentences.", "What is the main point of the text?", "List the most important points of the text.",
           "What is this text about?"]
CONTINUE = ["Continue the text.", "Write the next sentence of the text."]
MIN_TOKENS, MAX_TOKENS = 600, 1500


def fact(r):
    """(sentence, question about it)"""
    kind, what, who = r.randrange(4), f"{r.choice(ADJECTIVES)} {r.choice(NOUNS)}", r.choice(NAMES)
    if kind == 0: return f"The access code of the {what} is {r.randrange(10000, 99999)}.", f"What is the access code of the {what}?"
    if kind == 1:
        thing = r.choice(list(THINGS))
        return f"{who}'s favourite {thing} is {r.choice(THINGS[thing])}.", f"What is {who}'s favourite {thing}?"
    if kind == 2:
        day = r.choice("Monday Tuesday Thursday Friday".split())
        return f"The meeting with {who} takes place on {day} at {r.randrange(1, 12)} o'clock.", f"When does the meeting with {who} take place?"
    return f"{who} keeps the key of the {what} in {r.choice(THINGS['city'])}.", f"Where does {who} keep the key of the {what}?"


def pairs(r, count):
    """Lines `key: value` without repeated keys, and one of them to ask for."""
    style, rows = r.randrange(3), {}
    while len(rows) < count:
        if style == 0: rows[f"{r.choice(ADJECTIVES)}-{r.choice(NOUNS)}-{r.randrange(10, 99)}"] = str(r.randrange(1000, 9999))
        elif style == 1: rows[f"{r.choice(NAMES)} {r.choice('ABCDEFGHKLMNPRSTW')}. {r.randrange(100, 999)}"] = f"{r.choice(THINGS['city'])}, {r.choice(NOUNS)} {r.randrange(1, 40)}"
        else: rows[f"{r.choice(NOUNS)}.{r.choice(ADJECTIVES)}_{r.choice('size limit path user mode'.split())}{r.randrange(10)}"] = r.choice(["true", "false", str(r.randrange(4096)), r.choice(NOUNS)])
    separator = r.choice([": ", " = ", " | "])
    return [k + separator + v for k, v in rows.items()], r.choice(list(rows))


def passage(r, texts, encode, lines):
    """Consecutive sentences (or lines) of one text, MIN_TOKENS to MAX_TOKENS long."""
    for _ in range(200):
        text = r.choice(texts)
        text = re.sub(r"\n{3,}", "\n\n", text if lines else re.sub(r"[ \t]+", " ", text)).replace("\r", "")
        parts = re.split(r"(?<=\n)", text) if lines else re.split(r"(?<=[.!?])\s+(?=[A-Z\"'(])", text)
        start, want, count, body = r.randrange(max(1, len(parts) - 15)), r.randrange(MIN_TOKENS, MAX_TOKENS - 300), 0, []
        for part in parts[start:]:
            count += len(encode(part)); body.append(part)
            if count >= want: break
        if MIN_TOKENS <= count <= MAX_TOKENS - 100: return body
    raise SystemExit("Cannot find a passage of the wanted length in the sources")


def document(r, kind, texts, encode):
    """(text, the sentence of the fact that is asked for, [(kind of question, question)])"""
    facts, lines = [fact(r) for _ in range(r.randrange(1, 4))], kind in ("code", "mail", "manual")
    if kind == "list":
        body, key = pairs(r, r.randrange(45, 90))
        while len(encode("\n".join(body))) > MAX_TOKENS - 100: body.pop(r.randrange(len(body)))
        while not any(line.startswith(key) for line in body): key = re.split(r": | = | \| ", r.choice(body))[0]
        end, subject = "\n", "list"
    else:
        body, key, end = passage(r, texts, encode, lines), None, "" if lines else " "
        subject = {"code": "code", "mail": "mail"}.get(kind, "text")
    words = re.findall(r"\b[A-Za-z_]{7,}\b", " ".join(body)) or ["example"]
    before, after = {"code": ("# ", "\n"), "mail": ("", "\n"), "manual": ("", "\n")}.get(kind, ("", ""))
    for sentence, _ in facts: body.insert(r.randrange(1, len(body)), before + sentence + after)
    if key is None and r.random() < 0.5:  # a short list inside another text
        rows, key = pairs(r, r.randrange(3, 8))
        body.insert(r.randrange(1, len(body)), "\n" + "\n".join(rows) + "\n")
    text = end.join(body).strip()
    sentence, question = r.choice(facts)
    quoted = r.choice([b for b in body if len(b) > 60] or body).strip()[:60]
    asks = [("fact", question),
            ("lookup", f'What is the value of "{key}"?') if key else ("about", f'What does the {subject} say about "{r.choice(words)}"?'),
            ("paraphrase", f'Say in other words the part that begins with "{quoted}".'),
            ("summary", r.choice(SUMMARY).replace("text", subject)),
            ("continue", r.choice(CONTINUE).replace("text", subject))]
    return text, sentence, asks
