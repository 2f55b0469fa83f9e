"""A verb imports what it needs: importing all that reads a configuration takes longer than what most verbs do."""

import subprocess
import sys
from pathlib import Path

import pytest
from doubles.migrated import migrated

MODULES_MAX = 585
"""Modules of two verbs that only read the database; each hundred take some 50 ms."""
MODULES_OF_ACCOUNTS_MAX = 725
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


def imported_by(site: Path, *verbs: tuple[str, ...]) -> set[str]:
    """Return the modules that commands have imported, one after the other, by the end of the last one."""
    program = (
        "import atexit, sys\n"
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr))\n"
        "from vosd.cli.main import main\n"
        f"for words in {verbs}:\n"
        f"    main([*words, '-c', '{site / 'vosd.yaml'}'], standalone_mode=False)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)
    return set(done.stderr.splitlines()[-1].split())


def those_of(imported: set[str], *packages: str) -> list[str]:
    return sorted(name for name in imported if name.startswith(packages))


def test_verbs_that_list_what_the_database_has_import_no_models_of_the_configuration(site):
    imported = imported_by(site, ("cdr", "list"), ("ledger", "list"))
    assert those_of(imported, *READERS) == []
    assert len(imported) < MODULES_MAX


def test_verbs_about_accounts_import_their_models_alone_and_those_of_the_ledger_of_one_with_money_none(site):
    payment = ("payment", "add", "--account", "acme", "--amount", "1")
    imported = imported_by(site, ("account", "show", "acme"), ("account", "list"), payment)
    assert those_of(imported, *OTHER_KEYS) == []
    assert len(imported) < MODULES_OF_ACCOUNTS_MAX
    imported = imported_by(site, ("ledger", "list", "--account", "acme"), ("account", "history", "acme"))
    assert those_of(imported, "pydantic", "vosd.config.keys", "vosd.config.assembly", *OTHER_KEYS) == []
    assert len(imported) < MODULES_OF_ACCOUNTS_MAX
