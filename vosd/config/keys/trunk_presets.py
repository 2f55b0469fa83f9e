"""Presets of trunks: keys that suit peers of one kind, laid under the own ones; ``docs/trunks`` has their pages."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple


class TrunkPreset(Enum):
    """The kind of peer at the other end of a trunk."""

    VOS3000 = "vos3000"
    MICROSOFT_TEAMS = "microsoft-teams"
    ASTERISK = "asterisk"
    FREESWITCH = "freeswitch"
    CISCO_CUBE = "cisco-cube"
    IMS = "3gpp-ims"
    TWILIO = "twilio"


class TrunkDefaults(NamedTuple):
    """Values as text by key; nested sections are mappings."""

    mapping_gateway: Mapping[str, Any]
    routing_gateway: Mapping[str, Any]


_PLUS: Final = {"request_uri": "plus_e164", "from": "plus_e164", "to": "plus_e164", "pai": "plus_e164"}
_PLUS_EVERYWHERE: Final = {**_PLUS, "diversion": "plus_e164"}
_ASKED: Final = {"interval": "60"}

TRUNK_PRESETS: Final[Mapping[TrunkPreset, TrunkDefaults]] = {
    TrunkPreset.VOS3000: TrunkDefaults(
        mapping_gateway={"callee_from": "to", "caller_from": "from"}, routing_gateway={"identity": "from"}
    ),
    TrunkPreset.MICROSOFT_TEAMS: TrunkDefaults(
        mapping_gateway={
            "hosts": ["52.112.0.0/14", "52.122.0.0/15"],
            "caller_from": ["p-asserted-identity", "from"],
        },
        routing_gateway={
            "address": [f"{host}.pstnhub.microsoft.com:5061;transport=tls" for host in ("sip", "sip2", "sip3")],
            "number_format": {**_PLUS_EVERYWHERE, "user_phone": "yes"},
            "identity": ["from", "p-asserted-identity"],
            "display_name": "pass",
            "history_info": "pass",
            "privacy": "pass",
            "options_ping": _ASKED,
        },
    ),
    TrunkPreset.ASTERISK: TrunkDefaults(
        mapping_gateway={"caller_from": ["p-asserted-identity", "remote-party-id", "from"]},
        routing_gateway={
            "identity": ["from", "p-asserted-identity"],
            "display_name": "pass",
            "diversion": "pass",
            "options_ping": _ASKED,
        },
    ),
    TrunkPreset.FREESWITCH: TrunkDefaults(
        mapping_gateway={"caller_from": ["remote-party-id", "p-asserted-identity", "from"]},
        routing_gateway={
            "identity": ["from", "remote-party-id"],
            "display_name": "pass",
            "diversion": "pass",
            "options_ping": {"interval": "30"},
        },
    ),
    TrunkPreset.CISCO_CUBE: TrunkDefaults(
        mapping_gateway={"caller_from": ["p-asserted-identity", "remote-party-id", "from"]},
        routing_gateway={
            "identity": ["from", "remote-party-id"],
            "display_name": "pass",
            "diversion": "pass",
            "number_format": _PLUS_EVERYWHERE,
            "options_ping": _ASKED,
        },
    ),
    TrunkPreset.IMS: TrunkDefaults(
        mapping_gateway={
            "caller_from": ["p-asserted-identity", "from"],
            "headers": {"responses": {"pass": ["P-Asserted-Identity", "P-Early-Media", "P-Charging-Vector"]}},
        },
        routing_gateway={
            "number_format": {**_PLUS_EVERYWHERE, "user_phone": "yes"},
            "identity": ["from", "p-asserted-identity"],
            "privacy": "pass",
            "history_info": "pass",
            "headers": {
                "pass": ["P-Charging-Vector", "P-Access-Network-Info", "Session-ID"],
                "set": {"P-Early-Media": "supported"},
            },
        },
    ),
    TrunkPreset.TWILIO: TrunkDefaults(
        mapping_gateway={
            "hosts": [
                "54.172.60.0/30", "54.244.51.0/30", "54.171.127.192/30", "35.156.191.128/30", "54.65.63.192/30",
                "54.169.127.128/30", "54.252.254.64/30", "177.71.206.192/30",
            ],
            "caller_from": ["from"],
        },
        routing_gateway={
            "number_format": _PLUS_EVERYWHERE,
            "identity": ["from"],
            "diversion": "pass",
            "headers": {"pass": ["X-*"]},
        },
    ),
}  # fmt: skip
