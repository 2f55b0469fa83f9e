"""Errors about the order itself: every front shows them as wrong usage."""

from vosd.base.errors import VosError


class OrderError(VosError):
    """An order that says too little, too much or nothing that can be done; no state of the switch would change that."""

    def __init__(self, field: str, said: str, remedy: str = "") -> None:
        """``field`` of the order, ``said`` what is wrong with it, as the rest of a sentence that begins with it.

        Fields are named in backquotes, so that a front can name its own form of them.
        """
        super().__init__(f"`{field}` {said}{f': {remedy}' if remedy else ''}")
        self.field = field
        self.remedy = remedy
