"""SQL statements, compiled once in the process of the tests: a test opens a database of its own, often several times.

SQLAlchemy keeps what it has compiled with the engine, and a statement of the tables takes ten milliseconds. Here all
engines of a dialect share it, as the statements of one switch do that runs for a month.
"""

import sys
from collections import defaultdict
from typing import Any, Final

SIZE: Final = 5_000


def compile_once() -> None:
    """Let all engines made from now on share their compiled statements; do nothing where SQLAlchemy is not imported."""
    if "sqlalchemy.engine.base" not in sys.modules:
        return
    from sqlalchemy.engine.base import Engine
    from sqlalchemy.engine.default import DefaultDialect
    from sqlalchemy.util import LRUCache

    shared: dict[type[Any], LRUCache[Any, Any]] = defaultdict(lambda: LRUCache(SIZE))

    def of_its_dialect(engine: Any) -> LRUCache[Any, Any]:
        return shared[type(engine.dialect)]

    def keep_none_of_its_own(_engine: Any, _cache: LRUCache[Any, Any]) -> None:
        return

    # The dialect is a part of the key; all of one class write the same SQL for the servers of the tests.
    DefaultDialect.__eq__ = lambda one, other: type(one) is type(other)  # type: ignore[method-assign,assignment]
    DefaultDialect.__hash__ = lambda dialect: hash(type(dialect))  # type: ignore[method-assign,assignment]
    Engine._compiled_cache = property(of_its_dialect, keep_none_of_its_own)  # type: ignore[assignment]
