"""Compiled statements that all engines of a process share: most tests make an engine of their own.

Each would compile again what the engine of the test before has compiled, which takes longer than most statements.
"""

from typing import Any, Final

from sqlalchemy.engine import URL, Dialect
from sqlalchemy.util import LRUCache

from vosd.storage import engines
from vosd.storage.asynchronous import AsyncEngine, create_async_engine

_compiled: Final = LRUCache[Any, Any](2_000)


class SharedStatements:
    """The part of SQLAlchemy's cache of compiled statements that an engine uses, for all engines on one server."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect

    def get(self, key: tuple[Any, ...]) -> Any:
        """Return a compiled statement; None where there is none yet."""
        return _compiled.get(self._shared(key))

    def __setitem__(self, key: tuple[Any, ...], compiled: object) -> None:
        _compiled[self._shared(key)] = compiled

    def _shared(self, key: tuple[Any, ...]) -> tuple[Any, ...]:
        """Put the kind of the dialect in place of the dialect, which each engine has one of."""
        dialect = self._dialect
        assert key[0] is dialect, "SQLAlchemy has another key"
        server = getattr(dialect, "server_version_info", None), getattr(dialect, "is_mariadb", None)
        return (type(dialect), *server, *key[1:])


def share_statements() -> None:
    """Let all databases that are opened from now on share what they compile."""
    engines.create_async_engine = _sharing_engine  # type: ignore[attr-defined]  # its own import


def _sharing_engine(url: str | URL, **terms: Any) -> AsyncEngine:
    engine = create_async_engine(url, **terms)
    engine.sync_engine._compiled_cache = SharedStatements(engine.sync_engine.dialect)  # type: ignore[assignment]
    return engine
