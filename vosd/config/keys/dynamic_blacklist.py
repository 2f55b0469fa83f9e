"""``dynamic_blacklist``: when a caller counts as a nuisance, and for how long its calls are refused then."""

from typing import Annotated, Final

from vosd.config.reader.fields import KeyProblemError, Keys, switch, whole

_AT_MOST: Final = 10_000


class DynamicBlacklistKeys(Keys):
    """Callers that exceed one of these limits are refused for a while, by calling number. Default: none are.

    A mapping gateway or phone with a section of its own does not use that of the installation. A limit that is left
    out is none. A reload changes it.
    """

    enabled: Annotated[bool, switch()] = True
    """``no`` on a mapping gateway or phone exempts its callers from the limits of the installation."""
    concurrent_limit: Annotated[int | None, whole(1, _AT_MOST)] = None
    """Calls of one caller at the same time; one more puts it on the list."""
    frequency_limit: Annotated[int | None, whole(1, _AT_MOST)] = None
    """Calls of one caller within the window; one more puts it on the list."""
    no_answer_limit: Annotated[int | None, whole(1, _AT_MOST)] = None
    """Calls of one caller that ended without an answer within the window; the next call puts it on the list."""
    target_limit: Annotated[int | None, whole(1, _AT_MOST)] = None
    """Calls of one caller to the same number within the window; one more puts it on the list."""
    window_s: Annotated[int, whole(1, 86_400, "seconds")] = 60
    """The window, which ends at each new call."""
    expire_s: Annotated[int, whole(1, 2_592_000, "seconds")] = 3_600
    """For how long the caller stays on the list."""

    def _judge(self) -> None:
        limits = (self.concurrent_limit, self.frequency_limit, self.no_answer_limit, self.target_limit)
        if self.is_given and self.enabled and not any(limits):
            raise KeyProblemError("frequency_limit", "at least one limit, or enabled: no")
