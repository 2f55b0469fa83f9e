"""Why a call ended in one sentence, and what an operator does about it; ``docs/operations.md`` says more."""

import re
from typing import Final, NamedTuple

from vosd.base.cause import EndReason, HangupSource
from vosd.billing.holds import FROZEN
from vosd.cdr.record import AGENT, ANNOUNCEMENT, FORKED, VENDOR, CallRecord
from vosd.media.leg_media import MediaRefusal
from vosd.routing.false_answers import ShortCallTerms, is_unrung
from vosd.routing.routes import Cause


class Advice(NamedTuple):
    """Cause of an end, and the remedy; an empty ``todo`` = nothing."""

    said: str
    todo: str = ""


_NO_PREFIX: Final = Advice(
    "No routing gateway has a prefix for the number by which the call is routed.",
    "add the prefix to a gateway, or its routing plan",
)
_NOT_RUNG: Final = Advice(
    "A gateway accepted the call, and did not ring within ring_timeout.",
    "look at the pdd and the codes of its other calls; raise ring_timeout if it is too short",
)
SHORT_MS: Final = ShortCallTerms().shortest_ms
_LOST_UNANSWERED: Final = Advice(
    "The switch was killed, or an error ended the call, before it was answered.",
    "look at the log for why it stopped, or for the error",
)
_ANSWERED_LATE: Final = Advice(
    "A gateway answered after it was given up; its answer was hung up, and this is its cost.",
    "`reason_text` names the call; if it is frequent, raise response_timeout or ring_timeout",
)
_ANSWERED_TOO: Final = Advice(
    "A second phone behind the gateway answered as well; its answer was hung up, and this is its cost."
)
_PHONE_FULL: Final = Advice(
    "The called phone had as many calls as it may have.", "raise its max_concurrent or max_cps, or leave it so"
)
_PHONE_OFFLINE: Final = Advice(
    "The called phone is not registered.", "look at vosd registrations; docs/phones.md says why a phone may be missing"
)
_NO_PRACK: Final = Advice(
    "The caller never acknowledged a response before the answer (PRACK).",
    "a firewall, or a wrong sip.advertise: look at Contact in the ladder",
)
_HUNG_UP_AT_ONCE: Final = Advice("A gateway answered, and hung up before our answer was sent to the caller.")
_NOT_SENT: Final = Advice(
    "A gateway answered, and our answer could not be sent to the caller.", "look at the log, and at the rtpengines"
)
_OTHER_FAMILY: Final = Advice(
    "The media of the caller and of all gateways are of different address families, IPv4 and IPv6, and not relayed.",
    "have such calls relayed: media.engine, SS_MEDIAPROXYBETWEENNET; docs/media.md says which step decides",
)
_NOT_ENCRYPTED: Final = Advice(
    "One of the parties needs encryption, and what the other one sent has none.",
    "look at the descriptions in the ladder, and at encryption of both sides; one that answers an offer of SDES "
    "(a=crypto) by DTLS (a=fingerprint) needs encryption_by: dtls",
)
_DISAGREED: Final = Advice(
    "While they talked, the parties did not agree on media any more.", "compare the later offers in the ladder"
)
_ANNOUNCED: Final = Advice(
    "A gateway of type announcement played its sound, and its code ended the call.",
    "look at the gateways before it: in the attempts, and among those that were left out",
)
_TIMED_OUT: Final = Advice(
    "No gateway answered the INVITE within response_timeout.",
    "look at the gateways below: are they up, is their address right, does a firewall drop our packets",
)
ADVICE: Final[dict[EndReason, Advice]] = {
    EndReason.NORMAL: Advice("The call was answered, and a party hung up."),
    EndReason.CANCELLED: Advice("The caller gave up before the answer."),
    EndReason.BUSY: Advice("A gateway said that the called party is busy."),
    EndReason.NO_ANSWER: Advice(
        "It rang, and was not answered within ring_timeout.", "raise ring_timeout if it is too short"
    ),
    EndReason.REJECTED: Advice("A gateway refused the call.", "ask the vendor why; its code is in the attempts below"),
    EndReason.NOT_FOUND: Advice(
        "A gateway said that the number does not exist.", "compare callee_out with the form that the vendor expects"
    ),
    EndReason.UNAVAILABLE: Advice(
        "Every gateway that was tried failed.",
        "look at the codes of the attempts below, then at vosd status --gateways",
    ),
    EndReason.UNREACHABLE: Advice(
        "No gateway that was tried could be reached: no route, no open port, no connection, a wrong certificate.",
        "look at the log for connection, datagram_not_sent and datagram_not_delivered with its address; compare "
        "address, port and transport",
    ),
    EndReason.UNKNOWN_SOURCE: Advice(
        "No mapping gateway or phone has the address that the call came from.",
        "compare source_address with the hosts of the mapping gateways",
    ),
    EndReason.AUTHENTICATION_FAILED: Advice(
        "The trunk has shown no certificate that bears one of its certificate_names, or no right password.",
        "compare certificate_names and credentials with the customer",
    ),
    EndReason.NO_MATCHING_RATE: Advice(
        "The customer's rate group has no rate for the called number, or has its prefix locked.",
        "add the prefix to the rate group, or *, or unlock the one that `refusal` names",
    ),
    EndReason.RATE_TYPE_NOT_ALLOWED: Advice(
        "The account may not call numbers of this rate type.", "compare rate_types of the account with the rate"
    ),
    EndReason.INSUFFICIENT_BALANCE: Advice(
        "The account has less left than the first minutes of the call cost.",
        "look at vosd account show; the customer has to pay, or needs a higher overdraft_limit",
    ),
    EndReason.BALANCE_EXHAUSTED: Advice(
        "What the account may spend was used up.",
        "the customer has to pay, or needs a higher overdraft_limit; or its spend_limits end calls",
    ),
    EndReason.ACCOUNT_EXPIRED: Advice("The account has expired.", "look at expires_at in vosd account show"),
    EndReason.ACCOUNT_DISABLED: Advice(
        "The account or the mapping gateway is disabled or blocked.",
        "look at enabled in the configuration and at vosd overrides list",
    ),
    EndReason.ACCOUNT_CAPACITY: Advice(
        "The account had as many calls as it may have.", "raise its max_concurrent or max_cps, or leave it so"
    ),
    EndReason.NO_AVAILABLE_ROUTE: Advice(
        "Gateways have a prefix for the number, and none could take the call.",
        "look at the reasons below; vosd route explain --live says how it is now",
    ),
    EndReason.GATEWAY_CAPACITY: Advice(
        "The mapping gateway, or a group that it is in, had as many calls as it may have.",
        "raise max_concurrent of the one that `refusal` names, or leave it so",
    ),
    EndReason.GATEWAY_RATE_LIMIT: Advice(
        "The mapping gateway, or a group that it is in, sent more calls a second than it may.",
        "raise max_cps of the one that `refusal` names, or leave it so",
    ),
    EndReason.NUMBER_NOT_ALLOWED: Advice(
        "One of the numbers is not allowed, or is no number.",
        "`refusal` says why: a list, a length, a number section, a block; vosd route explain says how it is now",
    ),
    EndReason.GEOFENCE_BLOCKED: Advice(
        "The call, or its media, came from a network or country that may not call.",
        "is the user abroad? Else change its password; access.rules and countries say who may call",
    ),
    EndReason.USER_AGENT_NOT_ALLOWED: Advice(
        "The User-Agent is none that the account may use.",
        "a new telephone: add it to user_agents of the account; else change the password",
    ),
    EndReason.IDENTITY_INVALID: Advice(
        "The caller's signature (Identity) is wrong, or missing.",
        "`signature` says what; the customer signs its calls anew, or stir.verify of its trunk is not refuse",
    ),
    EndReason.LOOP: Advice(
        "The call came back to us, or went through too many switches.", "a vendor routes to us: take the number from it"
    ),
    EndReason.SESSION_INTERVAL_TOO_SMALL: Advice(
        "The caller wanted its session refreshed more often than allowed.",
        "nothing, if it calls again; else lower SS_SIP_SESSION_MIN_SE",
    ),
    EndReason.NO_COMMON_CODEC: Advice("The parties have no codec in common.", "compare the offers in the ladder"),
    EndReason.NO_MEDIA_PORT: Advice(
        "All media ports were in use, or no rtpengine answered in time.",
        "with the alarm rtp_port_exhausted, widen the range of ports; else look at the load of the rtpengines",
    ),
    EndReason.NO_ACK: Advice(
        "The caller never acknowledged our answer.",
        "a firewall, or a wrong sip.advertise: look at Contact in the ladder",
    ),
    EndReason.SESSION_TIMEOUT: Advice(
        "A party was gone: it did not refresh its session.", "look at session_refresh_failed in vosd status"
    ),
    EndReason.MAXIMUM_DURATION: Advice(
        "The call reached its longest duration.", "look at max_call_seconds; at 7,200 s a party has no session timer"
    ),
    EndReason.NO_MEDIA: Advice(
        "There was no sound for too long, or the rtpengine of an encrypted call was gone, and no other one was there.",
        "look for a firewall between the parties, and at the rtpengines",
    ),
    EndReason.ADMINISTRATIVE: Advice(
        "A person or a program ended the call by an order, or the fraud watch did.",
        "look at HangUp in the audit, which names the person; else at the alarm fraud_suspected",
    ),
    EndReason.OVERLOAD: Advice(
        "The call could not be written to disk, or the switch had too much to do.",
        "look at disk and database, and at the log for overload_begins",
    ),
    EndReason.SHUTDOWN: Advice("The switch was being stopped; calls that ran had the grace time."),
    EndReason.LOST: Advice(
        "The switch was gone for longer than the call could wait, or could not go on with it.",
        "look at the log for why it stopped, and for call_not_continued",
    ),
}
"""By end reason; some codes say more (``advice``)."""
_BY_TEXT: Final = {reason.text: reason for reason in EndReason}
_BY_CODE: Final = {(EndReason.NO_AVAILABLE_ROUTE, 404): _NO_PREFIX, (EndReason.NO_ANSWER, 408): _TIMED_OUT}
_BY_CAUSE: Final = {(EndReason.NO_ANSWER, 18): _NOT_RUNG, (EndReason.NO_ANSWER, 102): _TIMED_OUT}
"""By Q.850 cause, where the trunk of the caller may have another code."""
_SPENT: Final = Advice(
    "The call would take the account, or an agent above it, past a limit of what it may spend in an hour or a day.",
    "compare spend_limits of the account that `refusal` names with what it has spent, or leave it so",
)
_SPENT_WHILE_AWAY: Final = Advice(
    "The database is away, and the account has spent what it may meanwhile.",
    "look at the alarm database_away; raise database_away_cap, or leave it so",
)
_SPENT_BY_ANOTHER_SWITCH: Final = Advice(
    "Another switch may have taken the database, so running calls of accounts with a limit are granted nothing more.",
    "look at the alarm lease_lost: one of the two switches has to be stopped",
)
_USED_UP: Final = Advice(
    "What the account may spend was used up.",
    "look at vosd account show; the customer has to pay, or needs a higher overdraft_limit",
)
_OF_AGENT: Final = {
    EndReason.BALANCE_EXHAUSTED: Advice(
        "Agent {0}, above the customer's account, has nothing left that calls may cost.",
        "look at vosd account show {0}; the agent has to pay, or needs a higher overdraft_limit",
    ),
    EndReason.NO_MATCHING_RATE: Advice(
        "The rate group of agent {0}, above the customer's account, has no rate for the called number, or has "
        "its prefix locked.",
        "add the prefix to the rate group of {0}, or *, or unlock the one that `refusal` names",
    ),
    EndReason.RATE_TYPE_NOT_ALLOWED: Advice(
        "Agent {0}, above the customer's account, may not call numbers of this rate type.",
        "compare rate_types of {0} with its rate",
    ),
    EndReason.INSUFFICIENT_BALANCE: Advice(
        "Agent {0}, above the customer's account, has less left than the first minutes of the call cost.",
        "look at vosd account show {0}; the agent has to pay, or needs a higher overdraft_limit",
    ),
    EndReason.ACCOUNT_EXPIRED: Advice(
        "Agent {0}, above the customer's account, has expired.", "look at expires_at in vosd account show {0}"
    ),
    EndReason.ACCOUNT_DISABLED: Advice(
        "Agent {0}, above the customer's account, is disabled or blocked.",
        "look at enabled of {0} in the configuration and at vosd overrides list",
    ),
    EndReason.ACCOUNT_CAPACITY: Advice(
        "Agent {0}, above the customer's account, had as many calls as it may have.",
        "raise max_concurrent or max_cps of {0}, or leave it so",
    ),
}
"""Advice for refusals of which not the customer's account but an agent above it is the reason; {0} is the agent."""
_AGENT: Final = re.compile(r"agent (.+?)(?:: | is | has )")
"""Beginning of a refusal that is about an agent (``callcontrol.payers``)."""
_VENDOR: Final = re.compile(r"vendor (.+?): account ")
"""Beginning of the refusal of further money by a vendor that is paid in advance (``CallHold.used_up``)."""
_NO_PREFIX_FITS: Final = re.compile(r"no gateway's prefix fits ")
_LEFT_OUT: Final = re.compile(r"left out for ")
"""Beginnings of refusals of calls to a number that leads to gateways (``routing.pipeline``)."""
_ASKED: Final = re.compile(r"the (lookup of the number gave|redirect server named) no ")
"""Beginning of a refusal for want of what a server says about the number (``callcontrol.number_tools``)."""
_SPEND_LIMIT: Final = re.compile(r"\baccount .+ may spend ")
"""Refusal for a spend limit (``billing.holds``)."""
_UNKNOWN: Final = Advice(
    "The end reason is none of this version.", "read docs/operations.md of the version that wrote it"
)


def advice(record: CallRecord, refusal: str | None = None) -> Advice:
    """Return what an operator reads first about an ended call; ``refusal`` is the objection that its set-up noted."""
    reason = _BY_TEXT.get(record.end_reason)
    if reason is None:
        return _UNKNOWN
    more = _of_money(record, reason, refusal or "") or _of_call(record, reason, refusal or "")
    if more is not None:
        return more
    signs = signs_of_false_answer(record) if reason is EndReason.NORMAL else []
    if signs:
        return Advice(
            f"The call was answered, and a party hung up. Signs of a false answer: {'; '.join(signs)}.",
            "ask the parties whether anyone answered; vosd report false-answers shows whether the vendor's other calls "
            "are like that",
        )
    by_cause = _BY_CAUSE.get((reason, record.q850_cause or 0))
    return by_cause or _BY_CODE.get((reason, record.sip_code or 0), ADVICE[reason])


def signs_of_false_answer(record: CallRecord) -> list[str]:
    """Return what of an answered call a false answer would have, too; a short call alone says nothing, and is none."""
    answer = next((each for each in reversed(record.attempts) if 200 <= each.code < 300), None)
    if record.answered_at is None or answer is None or record.hold_time_ms >= SHORT_MS:
        return []
    if not is_unrung(answer.pdd_ms, answer.ms):
        return []
    rang = "without ringing" if answer.pdd_ms is None or answer.pdd_ms >= answer.ms else "sooner than anyone can"
    return [
        f"{answer.gateway} answered {answer.ms / 1_000:.1f} s after the INVITE, {rang}",
        f"the call lasted {record.hold_time_ms / 1_000:.1f} s",
    ]


def _of_money(record: CallRecord, reason: EndReason, refusal: str) -> Advice | None:
    """Return what to do where a spend limit or another account than the customer's is the reason; None = none is."""
    is_of_money = reason in {EndReason.INSUFFICIENT_BALANCE, EndReason.BALANCE_EXHAUSTED}
    if is_of_money and _SPEND_LIMIT.search(refusal):
        return _SPENT
    if is_of_money and "database_away_cap" in refusal:
        return _SPENT_WHILE_AWAY
    if is_of_money and refusal.endswith(FROZEN):
        return _SPENT_BY_ANOTHER_SWITCH
    found = _AGENT.match(refusal)
    if reason in _OF_AGENT and found is not None:
        said, todo = _OF_AGENT[reason]
        return Advice(said.format(found[1]), todo.format(found[1]))
    if reason is EndReason.BALANCE_EXHAUSTED and refusal:
        return _of_vendor(refusal) or _USED_UP
    charges = record.charges if reason is EndReason.BALANCE_EXHAUSTED else ()
    agents = [each.account for each in charges if each.role == AGENT]
    vendors = [each.account for each in charges if each.role == VENDOR and not each.earned]
    if vendors and not agents and record.customer_account is not None:
        return Advice(  # nearly every vendor is paid afterwards: the customer is the likely one
            "What the account may spend was used up, or that of a vendor which is paid in advance.",
            "the customer has to pay, or needs a higher overdraft_limit; or its spend_limits end calls; "
            f"where {vendors[0]} is paid in advance: look at vosd account show {vendors[0]}, too",
        )
    if agents or vendors:
        who = ", ".join(filter(None, (record.customer_account, *agents, *vendors)))
        return Advice(
            "What an account of the call may spend was used up: the customer's, that of an agent above it, or that of "
            "a vendor which is paid in advance.",
            f"look at vosd account show of {who}: the one with nothing left has to pay (a vendor: to be paid), or "
            "needs a higher overdraft_limit",
        )
    return None


def _of_vendor(refusal: str) -> Advice | None:
    """Return what to do where the money of a vendor that is paid in advance has ended a call; None = another's has."""
    found = _VENDOR.match(refusal)
    if found is None:
        return None
    return Advice(
        f"Vendor {found[1]}, which is paid in advance, has nothing left for calls.",
        f"look at vosd account show {found[1]}; pay the vendor, or raise its overdraft_limit",
    )


def _of_call(record: CallRecord, reason: EndReason, refusal: str) -> Advice | None:
    """Return more than the end reason says, by what has happened in the call; None = it says all."""
    is_refused = bool(refusal) and not record.attempts
    match reason:
        case EndReason.CANCELLED if record.is_cost_of_another:
            return _ANSWERED_TOO if record.attempts[0].reason == FORKED else _ANSWERED_LATE
        case EndReason.LOST if record.answered_at is None:
            return _LOST_UNANSWERED
        case EndReason.BUSY if is_refused:
            return _PHONE_FULL
        case EndReason.BUSY | EndReason.REJECTED | EndReason.NOT_FOUND if _is_announced(record):
            return _ANNOUNCED
        case EndReason.UNAVAILABLE:
            return _refused(refusal) if is_refused else _unanswered(record)
        case EndReason.NO_AVAILABLE_ROUTE if refusal:
            return _without_route(refusal)
        case EndReason.NO_COMMON_CODEC:
            return _without_session(record, refusal)
    return None


def _is_announced(record: CallRecord) -> bool:
    """Return whether the code behind a sound is the reason of a failure, and not the refusal of another gateway."""
    rows = {each.reason for each in record.attempts if each.code}
    return ANNOUNCEMENT in rows and record.end_reason not in rows


def _refused(refusal: str) -> Advice:
    if Cause.OFFLINE.value in refusal:
        return _PHONE_OFFLINE
    return Advice(
        f"The call was refused before any gateway was tried: {refusal}.",
        "look at the reasons below, and at the INVITE in the ladder",
    )


def _unanswered(record: CallRecord) -> Advice | None:
    """Return why a call was not answered where no vendor's refusal is the reason; None = one is."""
    if record.hangup_source == HangupSource.CALLER.text:
        return _NO_PRACK
    if record.vendor_answered_at is None:
        return _ANNOUNCED if _is_announced(record) else None
    return _HUNG_UP_AT_ONCE if record.hangup_source == HangupSource.CALLEE.text else _NOT_SENT


def _without_route(refusal: str) -> Advice:
    if _NO_PREFIX_FITS.match(refusal):
        return _NO_PREFIX
    if _LEFT_OUT.match(refusal):
        return ADVICE[EndReason.NO_AVAILABLE_ROUTE]
    if _ASKED.match(refusal):
        return Advice(
            f"A server that is asked about numbers did not say where the call goes: {refusal}.",
            "look at the alarm lookup_service_down, and at what the server answers for this number",
        )
    return Advice(f"The called number leads nowhere: {refusal}.", "vosd route explain --live says how it is now")


def _without_session(record: CallRecord, refusal: str) -> Advice | None:
    if _LEFT_OUT.match(refusal):
        return _OTHER_FAMILY
    fault = next((each.media_fault for each in reversed(record.attempts) if each.media_fault is not None), None)
    if fault == MediaRefusal.NOT_ENCRYPTED.value:
        return _NOT_ENCRYPTED
    if fault is not None:
        return Advice(
            f"A session description could not be forwarded: {fault}.",
            "look at the descriptions in the ladder; the party that sent it has to send another one",
        )
    if record.answered_at is not None:
        return _DISAGREED
    if not record.attempts or any(each.was_sent for each in record.attempts):
        return None
    names = dict.fromkeys(filter(None, (record.mapping_gateway, *(each.gateway for each in record.attempts))))
    return Advice(
        "The caller offers no codec that `codecs` of the trunks let through, so no INVITE was sent.",
        f"compare the offer in the ladder with `codecs` of {', '.join(names)}",
    )
