"""Registrations in a dictionary; no method awaits, so each is one transaction."""

from collections.abc import Collection, Sequence

from vosd.sip.ports import BindingKey, StoredBinding
from vosd.storage import schema
from vosd.storage.types import descriptive


class MemoryRegistrations:
    """Implements ``vosd.sip.ports.BindingStore``."""

    def __init__(self) -> None:
        self._kept: dict[BindingKey, StoredBinding] = {}

    async def load(self) -> Sequence[StoredBinding]:
        """Return all bindings, by name and slot."""
        return [self._kept[key] for key in sorted(self._kept)]

    async def note(self, _bindings: Sequence[StoredBinding], _gone: Collection[BindingKey]) -> bool:
        """Write nothing: there is no copy."""
        return True

    async def save(self, bindings: Sequence[StoredBinding], gone: Collection[BindingKey]) -> None:
        """Write and remove."""
        for key in gone:
            self._kept.pop(key, None)
        for binding in bindings:
            agent = descriptive(binding.user_agent, schema.AGENT_LENGTH)
            self._kept[BindingKey(binding.name, binding.slot)] = binding._replace(user_agent=agent)
