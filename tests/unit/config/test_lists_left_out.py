"""Lists that a command does not need are cut out of a large file before it is parsed."""

from typing import Final

import pytest

from vosd.catalogue.problems import ProblemList
from vosd.config.reader import document
from vosd.config.reader.document import parse_document
from vosd.config.reader.lists import LISTS

ITEMS: Final = "\n".join(f"  - {{id: c{number}}}" for number in range(20_000))

FORMS: Final = {
    "items below their key": "node: a\naccounts:\n  - {id: a}\n  - id: b\n    memo: |\n      x\n\n      y\nxy: z\n",
    "items beside their key": "accounts: # all\n- id: a\n-\n  id: b\n# the rest\nphones:\n- {number: 1}\nnode: a\n",
    "lines of another system": "accounts:\r\n  - {id: a}\r\n\r\n  - {id: b}\r\nnode: a\r\n",
    "a list in brackets": "accounts: [{id: a},\n {id: b}]\nnode: a\n",
    "a text that begins as a key does": 'accounts:\n  - {id: a, memo: "x\nphones: y"}\n  - {id: b}\nnode: a\n',
    "no items": "accounts:\nnode: a\n",
    "a key twice": "accounts:\n  - {id: a}\nnode: a\naccounts:\n  - {id: b}\n",
    "two documents": "accounts:\n  - {id: a}\n---\nnode: a\n",
    "an anchor": "accounts:\n  - {id: &name a}\nnode: *name\n",
    "a tab": "node: a\nphones:\n\t- x\n",
    "a list at the end without its line end": "node: a\naccounts:\n  - {id: a}\n  - {id: b}",
    "a mapping": "accounts:\n  id: a\nnode: a\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS)
def test_a_large_file_without_its_lists_is_the_same_document_as_a_small_one(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def read() -> object:
        problems = ProblemList()
        return parse_document(text, "vosd.yaml", {}, problems, LISTS), problems.in_order()

    small = read()
    monkeypatch.setattr(document, "_LARGE", 0)
    assert read() == small


def test_a_large_file_is_parsed_without_the_lists_that_are_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(text: str) -> document.yaml.CSafeLoader:
        sizes.append(len(text))
        return loader(text)

    sizes: list[int] = []
    loader = document.yaml.CSafeLoader
    monkeypatch.setattr(document.yaml, "CSafeLoader", parsed)
    text = f"node: a\naccounts:\n{ITEMS}\nstate_dir: var\n"
    found = parse_document(text, "vosd.yaml", {}, ProblemList(), LISTS)
    assert found is not None
    assert [*found.entries] == ["node", "accounts", "state_dir"]
    assert found.entries["state_dir"].place.line == 20_003
    assert sizes < [25_000]
