"""What every start of a switch does in the same way, done when this is imported: by the process that forks them all.

Modules are imported, and the schemas of the configuration are made, which happens when it is first read: also those of
objects that the example has none of.
"""

from pathlib import Path
from typing import Final

import aiomysql
import aiosqlite

import vosd.cli.daemon
import vosd.daemon.bootstrap
import vosd.storage.bookkeeper
import vosd.storage.sqlite_driver
from doubles import api, forked_api, forked_child, forked_switch, moved_clock, unit_filter
from vosd.config.load import load
from vosd.config.reader.fields import Keys

IMPORTED: Final = (
    aiomysql,
    aiosqlite,
    api,
    forked_api,
    forked_child,
    forked_switch,
    moved_clock,
    unit_filter,
    vosd.cli.daemon,
    vosd.daemon.bootstrap,
    vosd.storage.bookkeeper,
    vosd.storage.sqlite_driver,
)
_EXAMPLE: Final = Path(__file__).parents[2] / "config" / "vosd.yaml"


def _make_schemas(keys: type[Keys]) -> None:
    keys.model_rebuild()
    for each in keys.__subclasses__():
        _make_schemas(each)


load(_EXAMPLE, environ={})
_make_schemas(Keys)
