"""Lists of the API that the console repeats are the same there."""

import re
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Final

from vosd.admin import office
from vosd.admin.office import dids
from vosd.admin.office.planned_change import ObjectOrder
from vosd.admin.office.shown_objects import ListObjects
from vosd.admin.office.withdrawn_changes import WithdrawChange
from vosd.api.problems import COMMANDS
from vosd.api.table import OPERATIONS

SOURCE: Final = Path(__file__).parents[2] / "console/src"


def test_the_console_fills_in_a_begin_for_those_searches_for_calls_that_the_api_refuses() -> None:
    (listing,) = (each.listing for each in OPERATIONS if (each.method, each.path) == ("GET", "/cdrs"))
    assert listing is not None
    assert names_in("cdrs.tsx", "READ_ALL") == {*listing.unindexed}
    for served in listing.unindexed.values():
        assert names_in("cdrs.tsx", "INDEXED") == {*served}


def test_the_console_narrows_those_lists_of_objects_by_account_that_the_api_does() -> None:
    lists = [each for each in OPERATIONS if each.takes is ListObjects]
    narrowed = {each.fixed["kind"] for each in lists if "account" in {field.name for field in each.fields()}}
    assert names_in("objects.tsx", "WITH_ACCOUNT") == narrowed


def test_the_console_leaves_out_those_commands_that_the_api_does() -> None:
    assert names_in("../text/withoutcommand.ts", "COMMANDS") == {*COMMANDS}


def test_the_console_lists_the_lines_of_all_orders_that_make_versions_of_objects() -> None:
    modules = {f"{office.__name__}.{each.name}" for each in iter_modules(office.__path__)} - {dids.__name__}
    for each in modules:
        import_module(each)
    noted = [each for each in ObjectOrder.__subclasses__() if each.__module__ in modules]  # DIDs are set as SetObjects
    assert names_in("changes.tsx", "ACTIONS") == {each.__name__ for each in (*noted, WithdrawChange)}


def names_in(screen: str, constant: str) -> set[str]:
    """Return the texts in a list of a screen."""
    pattern = rf"^const {constant} = (?:new Set\()?\[(.*?)\]\)?;"
    (found,) = re.findall(pattern, (SOURCE / "screens" / screen).read_text(), re.DOTALL | re.MULTILINE)
    return {*re.findall(r'"(\w+)"', found)}
