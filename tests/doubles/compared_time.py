"""Times that count their comparisons, to show that what is done with one of thousands does not look at the others."""


class ComparedTime(int):
    """A time that counts how often any of them is compared."""

    compared = 0

    def __eq__(self, other: object) -> bool:
        ComparedTime.compared += 1
        return int(self) == other

    def __lt__(self, other: int) -> bool:
        ComparedTime.compared += 1
        return int(self) < other

    __hash__ = int.__hash__
