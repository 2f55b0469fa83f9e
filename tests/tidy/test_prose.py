"""The texts of this repository are plain English, and cite only what a reader can look up."""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = ("vosd", "tests", "bench", "docs", "scripts", "config", "migrations", "systemd")
SUFFIXES: Final = {".py", ".md", ".yaml", ".xml", ".service", ""}
MADE: Final = {"__pycache__", "console_files"}
"""Directories of built files: the console's has a copy of a page of docs/."""

WORDS: Final = (
    "acquaintance", "another life", "anybody", "came to nothing", "comes to nothing", "earlier life", "everybody",
    "farewell", "glance", "goodbye", "hears of", "heed", "heeded", "heeds", "is news to", "lay ready", "lets go of",
    "lies ready", "mistake of ours", "nobody", "onlooker", "onlookers", "out of breath", "outlived", "persona",
    "purse", "purses", "quarrel", "skin", "somebody", "speaks of", "stranger", "strangers", "strayed", "strays",
    "whoever", "whom", "wound up",
)  # fmt: skip
"""Riddles and figures of speech: a source is known or unknown, a message is received, dropped or retransmitted."""

SENSES: Final = ("at the door", "hear", "heard", "hears", "let go of", "news", "told")
"""Words that the code of the switch does without as well: it receives, reports, returns and calls."""

CONTRACT: Final = re.compile(
    r"stranger_(?:rate|burst)|STRANGER_\w+|too (?:much of a stranger's calls|many requests of a stranger)"
)
"""Keys of the configuration and of ``vosd status``, which stay as they are."""

PAPERS: Final = re.compile(
    r"\b(?:DESIGN|INTERFACES|EXEMPLARS)\b(?! =)|\bREQ_[A-Z]+|\b[A-Z]{2,5}-(?:V?\d\d|V\d+|\d{2,3})\b"
)
"""References to documents and requirement numbers that are not in this repository."""

PUBLISHED: Final = re.compile(r"(?:ISO|RFC|UTF|SHA|MD|AES|ADR|IPV|CVE)-")
"""Names of standards. Ids of the worked examples in ``tests/vectors`` may be named, too."""


@cache
def texts() -> Sequence[tuple[str, str]]:
    """Return name and text of every file that people read."""
    return list(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))] + sorted(ROOT.glob("*.md"))
    for path in files:
        name = path.relative_to(ROOT).as_posix()
        if not path.is_file() or path.suffix not in SUFFIXES or MADE & set(path.parts):
            continue
        if path != Path(__file__) and not name.startswith("tests/vectors/"):
            yield name, path.read_text(errors="surrogateescape")


def riddles_in(text: str, words: Sequence[str] = WORDS) -> set[str]:
    """Return the words in a text, also as parts of names."""
    letters = text.lower().replace("_", " ")
    there = [word for word in words if word in letters]
    if not there:
        return set()
    any_of = "|".join(word.replace(" ", "[ _]") for word in there)
    found = re.finditer(rf"(?<![A-Za-z])({any_of})(?![A-Za-z])", CONTRACT.sub("", text), re.IGNORECASE)
    return {match[1].lower().replace("_", " ") for match in found}


def test_texts_have_no_riddles():
    found = {name: sorted(riddles_in(text)) for name, text in texts()}
    assert "vosd/net/shield.py" in found
    assert {name: words for name, words in found.items() if words} == {}


def test_the_code_has_no_senses():
    code = {name: text for name, text in texts() if name.startswith("vosd/")}
    assert {name: sorted(words) for name, text in code.items() if (words := riddles_in(text, SENSES))} == {}


def test_references_can_be_followed():
    vectors = "".join(path.read_text() for path in (ROOT / "tests" / "vectors").glob("*.json"))
    ids = set(re.findall(r'"id": "([^"]+)"', vectors))
    found = {
        name: sorted({match[0] for match in PAPERS.finditer(text) if not PUBLISHED.match(match[0])} - ids)
        for name, text in texts()
    }
    assert {name: papers for name, papers in found.items() if papers} == {}
