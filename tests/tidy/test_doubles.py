"""The doubles that are shipped: only what a program that embeds vosd needs."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "vosd" / "testing"
ENTRANCES = {"vosd.testing.demo", "vosd.testing.virtual.scene", "vosd.testing.virtual.probe"}
"""What an embedder imports or runs; the other modules are there because one of these or a benchmark needs them."""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_a_double_that_only_tests_import_is_in_tests_doubles() -> None:
    users = [path for room in ("vosd", "bench") for path in (ROOT / room).rglob("*.py")]
    texts = {module_of(path): path.read_text() for path in users}
    imported = {
        f"{package}.{name.split(' as ')[0].strip()}"
        for user, text in texts.items()
        for package, names in re.findall(r"^\s*from (vosd\.testing[\w.]*) import \(?([^)\n]+)", text, re.MULTILINE)
        for name in names.split(",")
        if not user.startswith("tests.")
    }
    used = imported | {name.rpartition(".")[0] for name in imported}
    shipped = {module_of(path) for path in SHIPPED.rglob("*.py") if path.name != "__init__.py"}
    assert sorted(shipped - used - ENTRANCES) == []
    assert shipped >= ENTRANCES
