"""The device of a registered user: calls do not move to another one of the same user."""

from typing import NamedTuple


class Device(NamedTuple):
    """A device, as its REGISTER names it."""

    instance: str
    """The ``+sip.instance`` of its Contact (RFC 5626 section 4.1); empty = not given."""
    call_id: str
    """The Call-ID of its REGISTERs: a device uses one for all of them (RFC 3261 section 10.2)."""

    @classmethod
    def named(cls, instance: str, call_id: str) -> "Device":
        """Return a device whose names can be written to the journal."""
        if not call_id.isascii():
            call_id = call_id.encode("utf-8", "replace").decode()
        return cls(instance, call_id)

    def is_surely(self, other: "Device | None") -> bool:
        """Return whether both are provably one device; None = unknown."""
        if other is None:
            return False
        if self.instance and other.instance:
            return self.instance == other.instance
        return self.call_id == other.call_id

    def has_instance_of(self, other: "Device | None") -> bool:
        """Return whether both have the same ``+sip.instance``: one device, also where its Contact is another one."""
        return other is not None and self.instance != "" and self.instance == other.instance

    def is_surely_not(self, other: "Device | None") -> bool:
        """Return whether both are provably two devices: another Call-ID proves nothing, for a restart changes it."""
        return other is not None and self.instance != other.instance and "" not in (self.instance, other.instance)
