"""A verb imports what it needs: importing all that reads a configuration takes longer than what most verbs do."""

import subprocess
import sys
from pathlib import Path

import pytest
from doubles.migrated import migrated

MODULES_MAX = 560
"""Modules of a verb that only reads the database; each hundred take some 50 ms."""
MODULES_OF_ACCOUNTS_MAX = 700
READERS = ("pydantic", "vosd.config.keys", "vosd.config.assembly", "vosd.engine", "vosd.b2bua", "vosd.sip")
OTHER_KEYS = (
    "vosd.config.keys.installation",
    "vosd.config.keys.sip",
    "vosd.config.keys.rate_groups",
    "vosd.billing.rate_columns",
    "vosd.config.assembly.settings",
    "vosd.engine.settings",
    "vosd.catalogue.catalogue",
    "vosd.b2bua.call",
    "vosd.sip",
    "sqlalchemy.orm",
    "aiomysql",
    "alembic",
)


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        (
            "vosd.config.control_socket",
            "('pydantic', 'sqlalchemy', 'vosd.config.assembly', 'vosd.engine', 'vosd.b2bua')",
        ),
        ("vosd.admin.names", "('vosd.b2bua.call', 'vosd.engine.calls.live_call', 'sqlalchemy')"),
        ("vosd.storage.books", "('sqlalchemy.orm', 'vosd.b2bua.call', 'pydantic')"),
        ("vosd.config.decks.workbook_process", "('asyncio', 'ssl')"),
        ("vosd.config.reader.whole_files", "('asyncio', 'ssl')"),
    ],
)
def test_a_module_of_verbs_and_small_programs_loads_no_more_than_it_needs(module, unneeded):
    program = f"import sys, {module}\nprint(*(name for name in sys.modules if name.startswith({unneeded})))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("site")
    url = migrated(directory / "vosd.db")
    (directory / "vosd.yaml").write_text(
        f"database: {{url: '{url}'}}\nstate_dir: {directory}/var\ncontrol_socket: {directory}/vosd.sock\n"
        "accounts: [{id: acme}]\n"
    )
    return directory


def imported_by(site: Path, *words: str) -> set[str]:
    """Return the modules that a command has imported by its end."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from vosd.cli.main import main\nmain()"
    )
    command = [sys.executable, "-c", program, *words, "-c", str(site / "vosd.yaml")]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


def those_of(imported: set[str], *packages: str) -> list[str]:
    return sorted(name for name in imported if name.startswith(packages))


@pytest.mark.parametrize("words", [("cdr", "list"), ("ledger", "list")], ids=" ".join)
def test_a_verb_that_lists_what_the_database_has_imports_no_models_of_the_configuration(site, words):
    imported = imported_by(site, *words)
    assert those_of(imported, *READERS) == []
    assert len(imported) < MODULES_MAX


def test_a_verb_about_the_ledger_of_an_account_that_has_money_imports_no_models_of_the_configuration(site):
    imported_by(site, "payment", "add", "--account", "acme", "--amount", "1")
    for words in (("ledger", "list", "--account", "acme"), ("account", "history", "acme")):
        imported = imported_by(site, *words)
        assert those_of(imported, "pydantic", "vosd.config.keys", "vosd.config.assembly") == [], words


@pytest.mark.parametrize(
    "words",
    [
        ("account", "show", "acme"),
        ("account", "list"),
        ("payment", "add", "--account", "acme", "--amount", "1"),
        ("account", "history", "acme"),
    ],
    ids=" ".join,
)
def test_a_verb_about_accounts_imports_the_models_of_accounts_and_not_those_of_the_switch(site, words):
    imported = imported_by(site, *words)
    assert those_of(imported, *OTHER_KEYS) == []
    assert len(imported) < MODULES_OF_ACCOUNTS_MAX
