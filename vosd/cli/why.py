"""What ``vosd cdr show --why`` prints."""

from typing import Any, Final

from vosd.cli import output

_TABLES: Final = ("candidates", "left", "is_kept", "more_left", "chosen")
_NOT_KEPT: Final = "of answered calls only some keep why gateways were left out: routing.verdicts_one_in says how many"


def show_why(found: dict[str, Any], *, as_json: bool) -> None:
    """Print why a call went where it did."""
    if as_json:
        output.document(found)
        return
    output.sheet({name: value for name, value in found.items() if name not in _TABLES and value is not None})
    if found["chosen"] is not None:
        output.line("")
        output.sheet({f"chosen: {name}": value for name, value in found["chosen"].items() if value is not None})
    output.line("")
    tried = [[*each.values()] for each in found["candidates"]]
    output.table(("routing_gateway", "position", "reason"), tried, empty="no gateway was tried")
    output.line("")
    left = [[*each.values()] for each in found["left"]]
    output.table(("left out", "reason"), left, empty="no gateway is noted as left out")
    if found["more_left"]:
        output.remark(f"{found['more_left']} more gateways were left out")
    if not found["is_kept"]:
        output.remark(_NOT_KEPT)
