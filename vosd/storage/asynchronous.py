"""SQLAlchemy's asynchronous engine, loaded without its object-relational mapper.

``sqlalchemy.ext.asyncio`` also loads sessions and with them the mapper: a fifth of what the bookkeeper and most verbs
import, and nothing here uses it. Only the module of the engine is loaded, under its own name, so that a program that
imports the whole package later has the same classes.
"""

import importlib
import sys
from importlib.util import find_spec, module_from_spec
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy.util import concurrency

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine  # noqa: TID251 - types only

_PACKAGE: Final = "sqlalchemy.ext.asyncio"


def _engine_module() -> Any:
    spec = find_spec(_PACKAGE)
    if _PACKAGE in sys.modules or spec is None:
        return importlib.import_module(_PACKAGE)
    sys.modules[_PACKAGE] = module_from_spec(spec)  # what makes its modules importable; its own code is not run
    try:
        module = importlib.import_module(f"{_PACKAGE}.engine")
    finally:
        del sys.modules[_PACKAGE]
    concurrency._concurrency_shim._initialize()  # as the package does
    return module


if not TYPE_CHECKING:
    _engine = _engine_module()
    AsyncConnection, AsyncEngine = _engine.AsyncConnection, _engine.AsyncEngine
    create_async_engine = _engine.create_async_engine

__all__ = ["AsyncConnection", "AsyncEngine", "create_async_engine"]
