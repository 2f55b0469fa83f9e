"""The decision whether the media of a call are relayed (docs/media.md)."""

from typing import Final, NamedTuple

from vosd.trunks.media import Encryption, IceMode, MediaMode, MediaParameters, MediaSettings


class MediaSide(NamedTuple):
    """One side of a call, as far as the decision depends on it."""

    settings: MediaSettings
    is_registered: bool
    """Whether it is a phone or gateway that registers with us."""
    network: str
    """The address of ours that it uses."""
    nat: str | None
    """The address of its NAT, or of no NAT where it describes the very address that it is seen at; None = neither."""
    is_private: bool
    """Whether its own address is reachable only from its own network."""


class Decision(NamedTuple):
    """Whether media are relayed, and the step that decided it; 0 = the mode of the installation."""

    is_relayed: bool
    step: int


BY_MODE: Final = 0


def decide(parameters: MediaParameters, caller: MediaSide, callee: MediaSide) -> Decision:
    """Decide by the mode of the installation, in mode auto by the first step that applies."""
    decision = decide_by_modes(parameters, caller.settings, callee.settings)
    return _by_addresses(parameters, caller, callee) if decision is None else decision


def decide_by_modes(parameters: MediaParameters, caller: MediaSettings, callee: MediaSettings) -> Decision | None:
    """Decide as far as settings alone do; None = it depends on where the parties are."""
    modes = (caller.mode, callee.mode)
    match parameters.mode:
        case MediaMode.OFF:
            return Decision(is_relayed=False, step=BY_MODE)
        case MediaMode.MUST_ON:
            return Decision(is_relayed=True, step=BY_MODE)
        case MediaMode.ON:
            return Decision(is_relayed=MediaMode.MUST_ON in modes or MediaMode.OFF not in modes, step=BY_MODE)
        case MediaMode.AUTO:
            return _by_trunks(modes, callee)


def _by_trunks(modes: tuple[MediaMode, MediaMode], callee: MediaSettings) -> Decision | None:
    """Return the answer of the first of the steps 1 to 4 that applies."""
    if MediaMode.MUST_ON in modes:
        return Decision(is_relayed=True, step=1)
    if MediaMode.OFF in modes:
        return Decision(is_relayed=False, step=2)
    if MediaMode.ON in modes:
        return Decision(is_relayed=True, step=3)
    return Decision(is_relayed=True, step=4) if callee.local_ring else None


def _by_addresses(parameters: MediaParameters, caller: MediaSide, callee: MediaSide) -> Decision:
    """Return the answer of the first of the steps from 5 on that applies."""
    if _is_encrypted(caller) or _is_encrypted(callee):
        return Decision(is_relayed=True, step=5)
    if parameters.between_networks and _are_in_different_networks(caller, callee):
        return Decision(is_relayed=True, step=6)
    if parameters.behind_nat and _are_separated_by_nat(parameters, caller, callee):
        return Decision(is_relayed=True, step=7)
    return Decision(is_relayed=False, step=8)


def _is_encrypted(side: MediaSide) -> bool:
    """Return whether the parties encrypt and the side is registered, or the switch has to encrypt for it."""
    settings = side.settings
    if settings.encryption is Encryption.OFF:
        return settings.ice is IceMode.LITE
    return side.is_registered or settings.encryption is not Encryption.PASS or settings.ice is IceMode.LITE


def _are_in_different_networks(caller: MediaSide, callee: MediaSide) -> bool:
    return caller.network != callee.network or caller.is_private is not callee.is_private


def _are_separated_by_nat(parameters: MediaParameters, caller: MediaSide, callee: MediaSide) -> bool:
    """Return the answer of step 7: two public sides at one address are telephones that know that of their NAT."""
    if caller.nat is None and callee.nat is None:
        return False
    if caller.nat != callee.nat or caller.is_private is not callee.is_private:
        return caller.is_private or callee.is_private
    return parameters.same_nat
