"""The worked examples of tests/vectors, and the mark of a test that runs those of one rule."""

import json
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Final

import pytest

_DIRECTORY: Final = Path(__file__).parents[1] / "vectors"
BILLING: Final[list[dict[str, Any]]] = json.loads((_DIRECTORY / "billing.json").read_text())["vectors"]
ROUTING: Final[list[dict[str, Any]]] = json.loads((_DIRECTORY / "routing.json").read_text())


def named(example: dict[str, Any]) -> str:
    """Return the rule of an example, or its kind, as those of routing have it."""
    return example.get("rule") or example["kind"]


def of(
    rule: str, examples: Iterable[dict[str, Any]] = (*BILLING, *ROUTING), *, but: Container[str] = (), having: str = ""
) -> pytest.MarkDecorator:
    """Run a test once for each example of a rule whose input names ``having``, without those in ``but``.

    A rule without examples is a mistake in the test.
    """
    chosen = [
        each for each in examples if named(each) == rule and each["id"] not in but and having in str(each["given"])
    ]
    assert chosen, f"no example has the rule {rule}, and {having} in its input"
    cases = [pytest.param(each["given"], each["expect"], id=each["id"]) for each in chosen]
    return pytest.mark.parametrize(("given", "expect"), cases)
