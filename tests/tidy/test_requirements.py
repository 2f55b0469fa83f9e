"""The pins are complete: everything that is installed is pinned, and nothing else."""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT: Final = Path(__file__).parents[2]

TOOLS: Final = frozenset(
    {
        "aioice", "atheris", "coverage", "editables", "grafana-foundation-sdk", "hatchling", "hypothesis",
        "import-linter",
        "mmdb-writer", "mypy", "packaging", "pjsua2-python", "playwright", "promql-parser", "pylibsrtp", "pyopenssl",
        "pypdf", "pytest", "pytest-asyncio", "pytest-xdist", "ruff", "types-pyyaml",
    }
)  # fmt: skip
"""What ``make check``, the tests and the building of a wheel call by name."""


INSTALL: Final = "after a change of the pins: pip install -r requirements-dev.txt && pip install --no-deps -e ."


def lines(file: str) -> list[Requirement]:
    """Return the lines that pin a version."""
    return [Requirement(line) for line in (ROOT / file).read_text().splitlines() if "==" in line]


def pins(file: str) -> dict[str, str]:
    """Return the pinned versions; without those for other machines and Pythons."""
    here = [each for each in lines(file) if each.marker is None or each.marker.evaluate()]
    return {canonicalize_name(each.name): str(each.specifier).removeprefix("==") for each in here}


def pulled_in(wanted: Requirement) -> set[str]:
    """Return the names of a distribution and of everything that it needs here, its extras included."""
    waiting, seen = [wanted], set()
    while waiting:
        requirement = waiting.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        seen.add(key)
        for text in distribution(requirement.name).requires or ():
            needed = Requirement(text)
            extras = requirement.extras | {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                waiting.append(needed)
    return {name for name, _ in seen}


def test_the_application_runs_on_pinned_distributions_alone():
    assert set(pins("requirements.txt")) == pulled_in(Requirement("vosd")) - {"vosd"}, INSTALL


def test_the_tools_are_pinned_with_all_that_they_need():
    call_request, tools = set(pins("requirements.txt")), set(pins("requirements-dev.txt"))
    elsewhere = {each.name for each in lines("requirements-dev.txt")} - set(tools)
    needed = {name for tool in TOOLS - elsewhere for name in pulled_in(Requirement(tool))}
    assert tools == needed - call_request


def test_what_is_installed_is_what_is_pinned():
    pinned = pins("requirements.txt") | pins("requirements-dev.txt")
    assert {name: version_of(name) for name in pinned} == pinned, INSTALL


def version_of(name: str) -> str:
    try:
        return distribution(name).version
    except PackageNotFoundError:
        return "not installed"
