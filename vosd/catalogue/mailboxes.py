"""Index of the mailboxes of phones, by the names that requests may write for them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from vosd.base.number import SEPARATORS
from vosd.trunks.phone import Phone


class NamedMailbox(NamedTuple):
    """The mailbox of one phone, under its own name or under the number of the phone."""

    name: str
    phone: str
    """Number of the phone."""


MailboxIndex = Mapping[str, Sequence[NamedMailbox]]
"""By names as ``folded_name`` writes them."""


def mailboxes_of(phones: Iterable[Phone]) -> MailboxIndex:
    """Index the mailboxes of all phones that have one and are enabled."""
    found: defaultdict[str, list[NamedMailbox]] = defaultdict(list)
    for phone in phones:
        if phone.enabled and phone.voicemail is not None:
            for name in dict.fromkeys((phone.mailbox or phone.number, phone.number)):
                found[folded_name(name)].append(NamedMailbox(name, phone.number))
    return dict(found)


def folded_name(name: str) -> str:
    """Return a name without what servers may overlook in it: blanks, the case of letters, a plus sign, separators."""
    return name.translate(SEPARATORS).replace("+", "").strip().casefold()
