"""Presets: other default values, as text that is laid under what the file says."""

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final, NamedTuple


class Preset(Enum):
    """A set of defaults."""

    VOS3000 = "vos3000"


class Defaults(NamedTuple):
    """Values as text, by key; nested sections are mappings."""

    settings: Mapping[str, Any]
    parameters: Mapping[str, str]
    mapping_gateways: Mapping[str, str]
    """For each mapping gateway."""
    rate_groups: Mapping[str, str]
    """For each rate group."""


OWN_DEFAULTS: Final = Defaults({}, {}, {}, {})
"""No preset: the defaults of the models hold."""

PRESETS: Final[Mapping[Preset, Defaults]] = {
    Preset.VOS3000: Defaults(
        settings={
            "sip": {"unknown_source": "reject"},
            "limits": {"max_call_seconds": "604800"},
            "routing": {"loss_guard": "off"},
        },
        parameters={
            "SERVER_BILLING_FEE_PRECISTION": "2",
            "SERVER_CDR_FILE_WRITE_MAX": "2048",
            "SS_BILLINGUNIT": "60",
            "SS_GATEWAY_SWITCH_STOP_AFTER_RTP_START": "On",
            "SS_SIP_RESEND_INTERVAL": "0.5,1,2,4,4,4,4,4,4,4",
        },
        mapping_gateways={"callee_from": "to", "caller_from": "from"},
        rate_groups={"price_per": "cycle"},
    )
}
"""Defaults of VOS3000 that differ from those of the models."""
