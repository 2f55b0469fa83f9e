"""Operational overrides as the running switch reads them, and their changes; ``storage`` implements it."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from vosd.base.errors import VosError
from vosd.catalogue.overrides import Key, Override, Overrides

NOT_KNOWN: Final[Mapping[Key, str]] = MappingProxyType({})
"""No values of the configuration."""


class LaterOverride(VosError):  # noqa: N818 - states what was found
    """An override was set after the moment up to which its operator has seen it."""


class SetByOthersError(VosError):
    """An override was set by another than the one who replaces or clears it: an operator, or an agent above."""


class OverrideAction(Enum):
    """Change of an override; the value is stored."""

    SET = "set"
    CLEARED = "cleared"
    EXPIRED = "expired"


class OverrideRecord(NamedTuple):
    """A line of the record of changes, to which lines are only added."""

    at: int
    """When it happened, UTC milliseconds."""
    action: OverrideAction
    override: Override
    """As it was set, or as it was until then."""
    operator: str | None
    """Name of the operator who changed it; None = it expired."""
    before: str | None = None
    """The value until then; None = it was as configured and that was not noted, or that of ``override`` which ended."""
    id: int = 0
    """Number in the record, which grows; 0 = it is not written yet."""


class SwitchOverrides(Protocol):
    """The overrides as the running switch reads them; each method raises ``StoreUnavailable``: try again."""

    async def version(self) -> int:
        """Return the version of the overrides, which every change of them changes."""

    async def load(self) -> Overrides:
        """Return all overrides, also those that have expired and are not noted as such yet."""

    async def expire(self, now: int) -> None:
        """Remove what has expired by ``now`` (UTC milliseconds), and note it.

        Raises:
            StoreUnavailable: probably nothing was changed; try again.
        """


class NoOverrides:
    """Implements ``SwitchOverrides`` for a switch without overrides."""

    async def version(self) -> int:
        """Return a version that never changes."""
        return 0

    async def load(self) -> Overrides:
        """Return that there are none."""
        return Overrides()

    async def expire(self, now: int) -> None:
        """Do nothing: there is nothing to expire."""
