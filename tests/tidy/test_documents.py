"""The documents name what there is: targets, verbs, options, files, end reasons, decisions, tests."""

import re
import shlex
from collections import Counter
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Final

import click
import pytest

from vosd.admin.backup import DOCUMENTS, JOURNAL, QUARANTINE
from vosd.base.cause import EndReason
from vosd.cli.arguments import MomentParameter
from vosd.cli.main import main

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "bench").glob("*.md")])
DECISIONS: Final = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))

OPERATIONS: Final = [ROOT / "docs" / "operations.md", *sorted((ROOT / "docs" / "operations").glob("*.md"))]
SENTENCE_MAX: Final = 30
"""Longest sentence, in words, of the pages that are read when something is wrong."""

LINK: Final = re.compile(r"\]\((?!https?:)([^)#]+)")
CODE: Final = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
SOURCE: Final = re.compile(r"`((?:[a-z_0-9]+/)+[a-z_0-9]+\.(?:py|yaml|service))`")
COMMAND: Final = re.compile(r"(?:^|/|\s)vosd ([a-z][^#|\n]*)", re.MULTILINE)
DATED: Final = re.compile(r"--\w+ \d{4}-\d\d-\d\d")
TEST: Final = re.compile(r"`([a-z0-9]+/test_[a-z0-9_]+)`")
STATUS: Final = re.compile(
    r"(?<![\d,.§/-])\b([1-6]\d\d)\b(?! ?(?:ms|s|bytes|characters|a second|seconds|records|KiB|sources)\b)(?!,\d)"
)
HEADER: Final = re.compile(
    r"\b(?:[A-Z][A-Za-z]*-)+[A-Z][A-Za-z]*\b|\b(?:Expires|Supported|Unsupported|Require|Warning|Timestamp|Reason)\b"
)
COMMON_WORDS: Final = {"Call-ID", "Request-URI"}
"""Parts of every message."""


def all_pages() -> str:
    return "\n".join(page.read_text() for page in PAGES)


def test_every_link_between_documents_leads_somewhere():
    links = [(page, target) for page in PAGES for target in LINK.findall(page.read_text())]
    assert len(links) > 20
    assert [(page.name, target) for page, target in links if not (page.parent / target).exists()] == []


def test_no_change_is_noted_twice():
    noted = [line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("- ")]
    assert len(noted) > 20
    assert [line for line, count in Counter(noted).items() if count > 1] == []


def test_every_source_file_that_is_named_exists():
    named = set(SOURCE.findall(all_pages()))
    assert "engine/loop.py" in named
    assert [name for name in sorted(named) if not ((ROOT / name).exists() or (ROOT / "vosd" / name).exists())] == []


def test_every_name_on_the_way_of_one_call_is_in_the_code():
    table = [line for line in (ROOT / "docs" / "ONE-CALL.md").read_text().splitlines() if line.startswith("| ")]
    named = {name for line in table for name in re.findall(r"`(_?[A-Za-z]\w+(?:\.\w+)?)`", line)}
    assert {"Caller", "try_next", "Recorder._commit"} <= named
    texts = [path.read_text() for path in (ROOT / "vosd").rglob("*.py")]
    defined = {name for text in texts for name in re.findall(r"(?:class|def) (\w+)", text)}
    words = {word for name in named for word in name.split(".")}
    spoken = {"Reason", "progress_timeout", "response_timeout", "ring_timeout"}  # of SIP and of the configuration
    assert words - spoken - defined == set()


def test_make_targets_are_those_that_the_documents_name():
    targets = set(re.findall(r"^([a-z-]+):.*##", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert targets == set(re.findall(r"\bmake ([a-z][a-z-]*)\b", "\n".join(code_in(all_pages()))))


def test_every_end_reason_is_explained_to_the_operator():
    operations = (ROOT / "docs" / "operations.md").read_text()
    assert [reason.text for reason in EndReason if f"`{reason.text}`" not in operations] == []


def test_every_heading_that_a_link_names_exists():
    missing = []
    for page in PAGES:
        for path, heading in re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", page.read_text()):
            target = page.parent / path if path else page
            if target.suffix == ".md" and heading not in {anchor(line) for line in headings(target.read_text())}:
                missing.append((page.name, f"{path}#{heading}"))
    assert missing == []


def headings(text: str) -> list[str]:
    return re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).lower()).replace(" ", "-")


@pytest.mark.parametrize("page", OPERATIONS, ids=lambda page: page.name)
def test_sentences_for_the_operator_are_short(page):
    long = [sentence for sentence in sentences(page.read_text()) if len(sentence.split()) > SENTENCE_MAX]
    assert long == []


def sentences(text: str) -> list[str]:
    """Return the sentences of a page: code blocks apart, a cell or an item of a list is a text of its own."""
    prose = re.sub(r"```.*?```", "\n\n", text, flags=re.DOTALL)
    prose = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", prose)
    prose = re.sub(r"^\|.*$", lambda row: row[0].replace("|", "\n\n"), prose, flags=re.MULTILINE)
    prose = re.sub(r"^(#.*|-{3,})$", "\n", prose, flags=re.MULTILINE)
    texts = re.split(r"\n\s*\n|\n *(?:-|\d\.) ", prose)
    return [" ".join(each.split()) for part in texts for each in re.split(r"(?<=[.:?!])[*)]*\s+", part) if each.strip()]


def test_every_verb_is_shown_on_a_page():
    pages = [*ROOT.glob("*.md"), *(page for page in PAGES if page.parent.name in ("docs", "operations"))]
    shown = " ".join(code for page in pages if page.name != "CHANGELOG.md" for code in code_in(page.read_text()))
    context = click.Context(main)
    missing = []
    for verb in main.list_commands(context):
        command = main.get_command(context, verb)
        below = command.list_commands(context) if isinstance(command, click.Group) else []
        for name in below or [""]:
            words = [rf"(?:\S+\|)*{word}(?:\|\S+)*" for word in (verb, name) if word]
            if not re.search(rf"\bvosd {' '.join(words)}(?![\w-])", shown):
                missing.append(f"{verb} {name}")
    assert missing == []


@pytest.mark.parametrize("page", [ROOT / "README.md", *OPERATIONS], ids=lambda page: page.name)
def test_every_command_that_a_page_shows_is_one_of_ours(page):
    commands = [line for code in code_in(page.read_text()) for line in COMMAND.findall(code)]
    assert commands or page.name == "network.md"
    for command in commands:
        assert unknown_words(shlex.split(command)) == [], command


def test_commands_of_the_table_of_symptoms_have_all_options_that_they_need():
    rows = [line for line in OPERATIONS[0].read_text().splitlines() if line.startswith("| ")]
    commands = [line for row in rows for code in code_in(row) for line in COMMAND.findall(code)]
    written_out = [shlex.split(line) for line in commands if "--" in line]  # others name a command that the page shows
    assert len(written_out) > 10
    assert [words for words in written_out if missing_options(words)] == []


def missing_options(words: list[str]) -> list[str]:
    """Return the options that a command line must have and has not."""
    command, words = command_of(words)
    options = [each for each in command.params if isinstance(each, click.Option) and each.required]
    return [each.name or "" for each in options if not {*each.opts} & {*words}]


def test_every_time_in_a_command_of_a_page_is_one_that_the_command_takes():
    commands = [
        (page.name, shlex.split(line))
        for page in PAGES
        for code in code_in(page.read_text())
        for line in COMMAND.findall(code)
        if DATED.search(line)
    ]
    assert {"books.md", "changes.md"} <= {name for name, _ in commands}
    assert [(name, refused) for name, words in commands for refused in refused_times(words)] == []


def refused_times(words: list[str]) -> list[str]:
    """Return the times of a command line that are refused."""
    command, words = command_of(words)
    refused = []
    for parameter in command.params:
        for option, value in pairwise(words):
            if option in parameter.opts and isinstance(parameter.type, MomentParameter) and value[0].isdigit():
                try:
                    parameter.type.convert(value, parameter, None)
                except click.UsageError as error:
                    refused.append(f"{option} {value}: {error.message}")
    return refused


def command_of(words: list[str]) -> tuple[click.Command, list[str]]:
    """Return the command that words begin with, and its own words."""
    command: click.Command = main
    while isinstance(command, click.Group) and words:
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            break
        command, words = found, words[1:]
    return command, words


def code_in(text: str) -> list[str]:
    return [block or span for block, span in CODE.findall(text)]


def unknown_words(words: list[str]) -> list[str]:
    """Return the verbs and options of a command line that ``vosd`` does not have."""
    command, words = command_of(words)
    if isinstance(command, click.Group) and words:
        return words[:1]
    options = {name for parameter in command.params for name in parameter.opts}
    return [word for word in words if word.startswith("-") and word not in options]


def test_decisions_have_a_number_each_and_the_same_parts():
    numbers = [int(page.name[:4]) for page in DECISIONS]
    assert numbers == sorted(set(numbers))
    for page in DECISIONS:
        text = page.read_text()
        assert text.startswith(f"# {int(page.name[:4])}. "), page.name
        parts = re.findall(r"^(Status: \w+|## (?:Context|Decision|Consequences))$", text, re.MULTILINE)
        assert parts[0] in {"Status: accepted", "Status: superseded"}, page.name
        assert parts[1:] == ["## Context", "## Decision", "## Consequences"], page.name


def test_every_decision_is_in_the_list_and_every_mention_is_of_one_that_exists():
    listed = (ROOT / "docs" / "adr" / "README.md").read_text()
    in_the_list = re.findall(r"^\| \[\d+\]\((\d{4}-[^)]+)\)", listed, re.MULTILINE)
    assert in_the_list == [page.name for page in DECISIONS], "each once, in the order of their numbers"
    mentions = {
        int(number)
        for path in [*PAGES, *(ROOT / "vosd").rglob("*.py")]
        for number in re.findall(r"\bADRs? (\d+)", path.read_text())
    }
    assert mentions <= {int(page.name[:4]) for page in DECISIONS}


def behaviours() -> list[list[str]]:
    """Return the rows of the table of SIP behaviours, a list of cells each."""
    lines = (ROOT / "docs" / "sip-conformance.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith(("| behaviour", "| ---"))]
    return [[cell.strip() for cell in re.split(r" \|(?= |$)", row[1:])] for row in rows]


def text_of_tests(names: list[str]) -> str:
    folders = (ROOT / "tests", ROOT / "tests" / "unit")
    files = [folder / f"{name}.py" for name in names for folder in folders]
    return "\n".join(file.read_text() for file in files if file.exists())


def test_every_row_of_sip_behaviours_has_its_five_columns():
    assert [cells for cells in behaviours() if len(cells) != 6 or cells[5] or not cells[0] or not cells[2]] == []


def test_every_status_and_header_that_a_behaviour_names_stands_in_a_test_that_it_names():
    """What a row says must be checked by one of the tests that it names."""
    unheld = []
    for behaviour, _, said, _, held_by, _ in behaviours():
        text = text_of_tests(TEST.findall(held_by)).lower()
        plain = re.sub(r"RFC \d+( [\d.]+)*", "", said)
        words = {*STATUS.findall(plain), *HEADER.findall(plain)} - COMMON_WORDS
        unheld += [f"{behaviour}: {word}" for word in sorted(words) if word.lower() not in text]
    assert unheld == []


def test_every_behaviour_of_sip_names_tests_that_exist():
    rows = [
        line.rstrip("| ").rpartition("| ")[2]
        for line in (ROOT / "docs" / "sip-conformance.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith(("| behaviour", "| ---"))
    ]
    assert len(rows) > 30
    named = {name for held_by in rows for name in TEST.findall(held_by)}
    folders = (ROOT / "tests", ROOT / "tests" / "unit")
    assert [name for name in named if not any((folder / f"{name}.py").exists() for folder in folders)] == []
    assert [held_by for held_by in rows if not TEST.search(held_by)] == []


def test_every_name_in_the_state_directory_is_in_a_backup_or_on_its_page():
    """A backup has the journal, quarantine, documents and ``*.json``; the page names what it does not have."""
    named, found = re.compile(r"state_dir\)? / (\w+|\"[^\"]+\")"), set()
    for path in (ROOT / "vosd").rglob("*.py"):
        for name in named.findall(path.read_text()):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            value = name.strip('"') if name.startswith('"') else vars(import_module(module)).get(name)
            found |= {value} if isinstance(value, str) else set()
    assert {"people.key", "archive", "webhooks"} <= found
    taken = {JOURNAL, QUARANTINE, *DOCUMENTS} | {name for name in found if name.endswith(".json")}
    page = (ROOT / "docs" / "operations" / "backups.md").read_text()
    assert [name for name in sorted(found - taken) if f"`{name}`" not in page] == []
