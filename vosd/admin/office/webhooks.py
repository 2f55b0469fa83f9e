"""Use cases of webhooks: events that receivers did not get, and another try."""

import msgspec

from vosd.admin.office.office import Done, Office, needs
from vosd.admin.office.principal import Permission, Principal
from vosd.control.events import DeadLetter, ListDeadLetters, ReplayDeadLetters, ReplayedLetters


@needs(Permission.STATE_SEE, without_database=True)
async def list_dead_letters(office: Office, who: Principal, order: ListDeadLetters) -> list[DeadLetter]:
    """Return the events that receivers did not get, the oldest first.

    Documents of calls are left out where the principal may not see calls.

    Raises:
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer, or has no such receiver.
    """
    letters = await office.switch.ask(order)
    if Permission.CALLS_SEE in who.permissions:
        return letters
    return [msgspec.structs.replace(each, document="") for each in letters]


@needs(Permission.INSTALLATION_RUN, without_database=True)
async def replay_dead_letters(office: Office, who: Principal, order: ReplayDeadLetters) -> Done[ReplayedLetters]:
    """Have dead letters of a receiver delivered again: one, or all.

    Raises:
        DaemonUnreachableError, DaemonRefusedError: the switch does not answer, or has no such receiver.
    """
    outcome = await office.carried_out(office.switch.ask(order), who, order, order.receiver)
    if not outcome.replayed:
        return Done(outcome)
    return await office.noted(outcome, who, order, order.receiver)
