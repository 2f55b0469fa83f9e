"""Result of trying a trunk: the message that it would be sent, and the rules that made it."""

import msgspec


class AppliedRule(msgspec.Struct, frozen=True):
    """One rule, and the line that it sends or leaves out."""

    rule: str
    """``pass``, ``remove``, ``set`` or ``add``; ``body`` for a part of the body that is passed."""
    line: str


class TrunkMessage(msgspec.Struct, frozen=True):
    """The message for a trunk, and the rules that made it."""

    message: str
    """The whole INVITE; of a response the lines that rules may change."""
    rules: list[AppliedRule]
