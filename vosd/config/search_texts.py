"""The texts by which objects of the configuration are found: names, captions, and a few keys; no passwords."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from vosd.base.search_text import Searched, SearchText
from vosd.catalogue.stored_objects import ObjectVersion, SearchedObjects
from vosd.config.reader.document import Node, Scalar, Section
from vosd.config.reader.lists import ACCOUNTS

SHOWN: Final[Mapping[str, Sequence[str]]] = {
    ACCOUNTS: ("name",),
    "mapping_gateways": ("account", "hosts", "tech_prefix"),
    "phones": ("account", "hosts", "caller_numbers"),
}
"""Keys by which agents and customers find their objects, too."""
INNER: Final[Mapping[str, Sequence[str]]] = {
    ACCOUNTS: ("contact", "memo"),
    "mapping_gateways": ("auth.username", "certificate_names", "groups"),
    "routing_gateways": (
        "account",
        "address",
        "auth.username",
        "groups",
        "outbound_proxy",
        "partner",
        "register.server",
        "register.username",
        "tech_prefix",
    ),
    "dids": ("account",),
}
"""Keys of which they learn nothing."""


class SearchTexts:
    """The texts of one configuration, put together once: in a thread, since of 100,000 objects it takes a second."""

    def __init__(self) -> None:
        self._made: dict[str, asyncio.Task[SearchText]] = {}
        self._one_at_a_time = asyncio.Lock()
        """Several threads would keep the processor from requests for longer."""

    async def of(self, kind: str, files: Mapping[str, Section], stored: Mapping[str, ObjectVersion]) -> SearchText:
        """Return the texts of a kind; requests that want them meanwhile wait for the same ones."""
        found = self._made.get(kind)
        if found is None or (found.done() and (found.cancelled() or found.exception() is not None)):
            found = self._made[kind] = asyncio.create_task(self._make(kind, files, stored))
        return await asyncio.shield(found)

    async def _make(self, kind: str, files: Mapping[str, Section], stored: Mapping[str, ObjectVersion]) -> SearchText:
        async with self._one_at_a_time:
            return await asyncio.to_thread(search_text, kind, files, stored)


def search_text(kind: str, files: Mapping[str, Section], stored: Mapping[str, ObjectVersion]) -> SearchText:
    """Return the texts of the objects of a kind: those of the files, and others that the database defines."""
    shown, inner = SHOWN.get(kind, ()), INNER.get(kind, ())
    written = (Searched(name, _of_section(each, shown), _of_section(each, inner)) for name, each in files.items())
    if isinstance(stored, SearchedObjects):
        found = iter(stored.searched(shown, inner))
    else:
        found = _of_versions(stored, shown, inner)
    return SearchText([*written, *(each for each in found if each.name not in files)])


def _of_versions(stored: Mapping[str, ObjectVersion], shown: Sequence[str], inner: Sequence[str]) -> Iterator[Searched]:
    for name, each in stored.items():
        keys = msgspec.json.decode(each.body or "{}")
        texts = (*(_text_of(keys, key) for key in inner), each.memo or "")
        yield Searched(name, " ".join(_text_of(keys, key) for key in shown), " ".join(texts))


def _text_of(keys: Any, path: str) -> str:
    value = keys
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    if value is None:
        return ""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _of_section(section: Section, keys: Sequence[str]) -> str:
    return " ".join(text for key in keys for text in _written(_node_of(section, key)))


def _node_of(section: Section, path: str) -> Node | None:
    node: Node | None = section
    for key in path.split("."):
        entry = node.entries.get(key) if isinstance(node, Section) else None
        node = None if entry is None else entry.node
    return node


def _written(node: Node | None) -> Iterator[str]:
    if node is None:
        return
    if isinstance(node, Scalar):
        yield node.text
        return
    inner = [each.node for each in node.entries.values()] if isinstance(node, Section) else node.items
    for each in inner:
        yield from _written(each)
