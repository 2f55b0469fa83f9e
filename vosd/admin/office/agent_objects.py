"""Objects of the configuration that an agent sees, and the keys of them that it may change by each of its rights.

Keys that lead out of its tree (routes, files, templates) are neither shown to it nor changed by it.
"""

import asyncio
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, Final

import msgspec

from vosd.admin.agents import groups_of_vendors, rate_groups_of
from vosd.admin.office.agent_reach import AgentReach
from vosd.admin.office.agent_values import check_value, domain_in, domain_of, is_source, names_file, names_in
from vosd.admin.office.ports import ConfiguredObjects
from vosd.admin.office.principal import OrderError, Scope
from vosd.base.number import for_matching
from vosd.billing.accounts import ANY_GROUP
from vosd.billing.agents import RECORDED_AS
from vosd.billing.rights import Right
from vosd.catalogue.agent_domains import AgentDomains
from vosd.catalogue.agent_numbers import AgentNumbers
from vosd.catalogue.agent_sources import AgentSources
from vosd.catalogue.problems import ConfigError, DefinitionProblem
from vosd.catalogue.stored_objects import KINDS, ObjectVersion, in_force_at

Body = Mapping[str, Any]

_CAPACITY: Final = frozenset({"max_concurrent", "max_cps", "max_call_seconds"})
_OF_ACCOUNTS: Final = _CAPACITY | {
    "agent", "allowed_prefixes", "balance_low", "balance_low_hours", "countries", "currency", "denied_prefixes",
    "destination_limits", "enabled", "expires_at", "group", "name", "new_destination_alarm", "overdraft_limit",
    "private_rate_group", "rate_group", "rate_selection", "rate_types", "rights", "spend_limits", "sub_rate_groups",
    "timezone", "type", "user_agents",
}  # fmt: skip
_OF_TRUNKS: Final = _CAPACITY | {
    "account", "callee_allow", "callee_deny", "callee_length", "callee_rewrite", "caller_allow", "caller_deny",
    "caller_drop", "caller_rewrite", "codecs", "countries", "dtmf", "dynamic_blacklist", "enabled",
    "hosts", "nat", "private_rate_group", "rate_group", "session_timer", "transfer", "transfer_display",
    "transfer_keys", "transfer_timeout",
}  # fmt: skip
_OF_GATEWAYS: Final = _OF_TRUNKS | {
    "auth", "caller_from", "max_requests", "preset", "reason", "reject_codes", "reliable_provisionals", "tech_prefix",
}  # fmt: skip
_OF_PHONES: Final = _OF_TRUNKS | {
    "caller_numbers", "domain", "ha1_md5", "ha1_sha256", "password", "ring_timeout", "username",
}  # fmt: skip
_TRUNKS: Final = ("mapping_gateways", "phones")
SETTABLE: Final[Mapping[str, Collection[str]]] = {
    "accounts": _OF_ACCOUNTS, "mapping_gateways": _OF_GATEWAYS, "phones": _OF_PHONES,
}  # fmt: skip
"""Kinds of objects that agents have, with the keys that they see and may set."""
_RATE_GROUPS: Final = frozenset({"rate_group", "private_rate_group", "sub_rate_groups"})
_NEEDED_OF_GATEWAYS: Final[Mapping[str, Right]] = {
    "account": Right.GATEWAYS,
    "enabled": Right.GATEWAYS,
    **dict.fromkeys(("max_concurrent", "max_cps", "max_call_seconds", "max_requests"), Right.GATEWAY_CAPACITY),
}
MISTAKES_MAX: Final = 100
"""Mistakes of a change that an agent gets as an answer: each value of a long list may be one."""
_QUOTED: Final = re.compile(r"'([^']*)'")
_PATH: Final = re.compile(r"(?: at)? (?![\da-fA-F.:]+/\d{1,3}[:,]?(?:\s|$))\S*/\S*?(?=:?(?:\s|$))")
"""Place in a file; a network such as 192.0.2.0/24 is none."""
_VERSION: Final = re.compile(rf" at (?:{'|'.join(KINDS)}) .* \(version \d+\) in the database")
"""Place in the database; it names an object."""
_LABEL: Final = re.compile(r"(\w+)\[([^\]]*)\]")
_KEY: Final = re.compile(r"\.(\w+)")
_IN_ANOTHER: Final = "a change that fits all other objects: one that you do not see is in the way"
_IN_HIDDEN_KEY: Final = "a change that fits the keys of the object that you do not see"


def _not_for_agents(key: str) -> OrderError:
    return OrderError("keys", f"has {key}, which is not for agents", "leave it out")


def right_needed(kind: str, key: str, *, is_new: bool) -> Right:
    """Return the right by which an agent sets a key of an object."""
    if kind == "accounts":
        return Right.SUB_PAYMENTS if key == "overdraft_limit" else Right.ACCOUNTS
    if kind == "phones":
        return Right.PHONES
    # A gateway that is added has an address: to change that later is another right.
    return _NEEDED_OF_GATEWAYS.get(key, Right.GATEWAYS if is_new else Right.GATEWAY_INFORMATION)


def agent_of(definitions: ConfiguredObjects, version: ObjectVersion) -> str | None:
    """Return the agent of an account as a version has it; one that stands in a template is that of now."""
    keys = json.loads(version.body or "{}")
    if "agent" in keys or "template" not in keys:
        return keys.get("agent")  # type: ignore[no-any-return]
    try:
        return definitions.accounts([version])[version.name].agent
    except ConfigError:  # such as by a template that has ended, too
        return None


class AgentObjects:
    """The part of the definitions that one agent sees and changes."""

    def __init__(self, definitions: ConfiguredObjects, scope: Scope) -> None:
        """``scope`` is that of an agent or a customer."""
        self._definitions = definitions
        self._scope = scope
        self._payers: Mapping[str, str] | None = None
        self._made: set[str] = set()
        """Accounts that the same order makes below the agent."""
        self.reach: Final = AgentReach()
        """Accounts and rights that the changes of the order take."""

    async def names(self, kind: str) -> list[str]:
        """Return the names, sorted, of all objects of a kind that may be ones that the agent sees."""
        if kind not in SETTABLE:
            return []
        visible = self._scope.visible or frozenset()
        if kind == "accounts":
            return sorted(visible)
        self._payers = await asyncio.to_thread(self._definitions.accounts_of(*_TRUNKS))
        return sorted(name for name, account in self._accounts_of_trunks().items() if account in visible)

    def sees(self, version: ObjectVersion) -> bool:
        """Return whether an object is of an account that the agent sees, as a version has it; ended ones are not."""
        if version.kind not in SETTABLE or version.body is None:
            return False
        keys = json.loads(version.body)
        if version.kind == "accounts":
            if version.name == self._scope.agent:
                return True
            if len(self._scope.visible or ()) == 1:  # a customer
                return False
            above = keys.get("agent", version.name)
            return self._scope.sees(above) or self._scope.sees(agent_of(self._definitions, version) or above)
        return self._scope.sees(self.account_of(version))

    def history(self, versions: Sequence[ObjectVersion], now: int) -> list[ObjectVersion]:
        """Return the versions of an object that the agent sees, newest first; none where it is another's now.

        The version in force says whose it is, or the last one before its end. It may have an earlier number than
        others, which were made while it was planned.
        """
        last = in_force_at((each for each in versions if each.body is not None), now)
        if last is None or not self.sees(last):
            return []
        return [self.shown(each) for each in versions if each.body is None or self.sees(each)]

    def account_of(self, version: ObjectVersion) -> str:
        """Return the account of a gateway or phone; one that stands in a template is that of now."""
        return self._account_of(version.name, json.loads(version.body or "{}"))

    def _account_of(self, name: str, keys: Body) -> str:
        if "account" in keys:
            return str(keys["account"])
        return self._accounts_of_trunks().get(name, "")

    def _accounts_of_trunks(self) -> Mapping[str, str]:
        if self._payers is None:
            self._payers = self._definitions.accounts_of(*_TRUNKS)()
        return self._payers

    def shown(self, version: ObjectVersion) -> ObjectVersion:
        """Return a version as the agent sees it: without keys that it may not set, and without names of operators."""
        keys = json.loads(version.body or "{}")
        shown = {key: value for key, value in keys.items() if key in SETTABLE[version.kind]}
        if version.kind == "accounts" and version.name == self._scope.agent:
            shown.pop("agent", None)
            shown.pop("group", None)
        return msgspec.structs.replace(
            version,
            body=None if version.body is None else json.dumps(shown, ensure_ascii=False),
            operator=self._scope.shown_operator(version.operator),
            memo=version.memo if self._scope.sees_operator(version.operator) else None,
        )

    def completed(self, kind: str, keys: Body, before: Body | None) -> dict[str, Any]:
        """Return all keys that an object gets: what the agent does not see stays, and where it belongs, too."""
        kept = {key: value for key, value in (before or {}).items() if key not in SETTABLE[kind]}
        made = kept | {key: value for key, value in keys.items() if value is not None}
        owner = "agent" if kind == "accounts" else "account"
        if owner not in made:
            belongs = (before or {}).get(owner, self._scope.agent if kind == "accounts" else None)
            if belongs is None:
                raise OrderError("keys", "have no `account`", "name one below the agent")
            made[owner] = belongs
        return made

    def check_seen(self, kind: str, keys: Body) -> None:
        """Raise OrderError for a key that the agent does not see, whatever its value.

        Were it refused for another value than it has alone, values could be guessed until one is taken.
        """
        for key in keys:
            if key not in SETTABLE[kind] and key != KINDS[kind]:
                raise _not_for_agents(key)

    def check_change(self, kind: str, name: str, before: Body | None, after: Body | None) -> None:
        """Check that the agent may make a change; None = the object is not defined.

        Raises:
            OutOfScopeError: it is, or would be, of an account that is not below the agent.
            RightLackingError: it has not the right to change one of the keys.
            OrderError: a key is not for agents.
        """
        old, new = before or {}, after or {}
        changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
        is_new = before is None
        if before is not None and after is not None:
            needed = {right_needed(kind, key, is_new=False) for key in changed}
        else:
            own = {"accounts": Right.ACCOUNTS, "phones": Right.PHONES}.get(kind, Right.GATEWAYS)
            needed = {own, *(right_needed(kind, key, is_new=True) for key in changed if is_new)}
        if kind == "accounts":
            self._check_account(name, after, needed, is_new=is_new)
        else:
            for keys in (before, after):
                if keys is not None:
                    self._check_trunk(name, keys, needed)
        for key in changed if after is not None else ():
            if key not in SETTABLE[kind] or names_file(new.get(key)):
                raise _not_for_agents(key)
            if key in _RATE_GROUPS:
                self._check_groups(key, names_in(new.get(key)))
            check_value(key, new.get(key))

    def _check_groups(self, key: str, named: Iterable[str]) -> None:
        """Check that the agent may give these rate groups: it can read their prices then."""
        names = {each for each in named if (key, each) != ("sub_rate_groups", ANY_GROUP)}
        given, of_vendors = self._rate_groups
        if not of_vendors.isdisjoint(names):
            raise OrderError("keys", f"has a {key} that vendors are paid by", "name one that you may give")
        if given is not None and not names <= given:
            raise OrderError("keys", f"has a {key} that is not yours to give", "name one that you may give")

    @cached_property
    def _rate_groups(self) -> tuple[frozenset[str] | None, frozenset[str]]:
        """The rate groups that the agent may give, None = any; and where it is any, those of vendors, which it may not.

        They are those before the order, read once for all of its objects.
        """
        assert self._scope.agent is not None
        accounts, groups = self._definitions.accounts(), self._definitions.named_groups()
        given = rate_groups_of(accounts, self._definitions.hierarchy(), self._scope.agent, groups)
        return given, groups_of_vendors(accounts, groups) if given is None else frozenset()

    def sources(self, changed: Iterable[tuple[str, str, Mapping[str, tuple[Any, Any]]]]) -> AgentSources:
        """Return the sources that change with keys of objects, which are given by kind and name."""
        assert self._scope.agent is not None
        gateways = {name: keys for kind, name, keys in changed if kind == "mapping_gateways" and is_source(keys)}
        unproven = frozenset(name for name, keys in gateways.items() if "auth" in keys)
        concerned = {name: "hosts" in keys for name, keys in gateways.items()}
        return AgentSources(self._scope.agent, concerned, unproven=unproven)

    def numbers(self, changed: Iterable[tuple[str, str, bool, Mapping[str, tuple[Any, Any]]]]) -> AgentNumbers:
        """Return the numbers that phones get by changed keys of objects, given by kind, name and whether they are new.

        Numbers that a phone shows already stay.
        """
        assert self._scope.agent is not None
        phones, callers = set(), {}
        for kind, name, is_new, keys in changed:
            if kind != "phones":
                continue
            if is_new:
                phones.add(name)
            before, after = keys.get("caller_numbers", (None, None))
            shown = {*map(for_matching, names_in(before))}
            callers[name] = [each for each in names_in(after) if for_matching(each) not in shown]
        return AgentNumbers(self._scope.agent, phones, callers)

    def domains(self, changed: Iterable[tuple[str, str, Mapping[str, tuple[Any, Any]]]]) -> AgentDomains:
        """Return the users that get a domain by changed keys of objects, given by kind and name.

        A domain that a user has already stays.
        """
        assert self._scope.agent is not None
        phones, gateways = set(), set()
        for kind, name, keys in changed:
            before, after = keys.get("domain" if kind == "phones" else "auth", (None, None))
            if kind == "phones" and after != before:
                phones.add(name)
            elif kind == "mapping_gateways" and domain_in(after) not in {None, domain_in(before)}:
                gateways.add(name)
        return AgentDomains(self._scope.agent, phones, gateways)

    def had_domain(self, made: ObjectVersion, history: Sequence[ObjectVersion]) -> bool:
        """Return whether an operator gave an object the domain of a new version last, by ``history``, newest first.

        It was in the agent's tree then. So an undo brings back what the agent has taken away. The versions of customers
        are no agent's, either, but have only another password: the domain in them may be one that an agent gave.
        """
        earlier = (*history[1:], None)
        others = [each for each in zip(history, earlier, strict=True) if not each[0].operator.startswith(RECORDED_AS)]
        given = next((after for after, before in others if before is None or self._has_moved(before, after)), None)
        return given is not None and all(
            self.sees(each) and domain_of(each) == domain_of(made) for each in (others[0][0], given)
        )

    def _has_moved(self, before: ObjectVersion, after: ObjectVersion) -> bool:
        """Return whether the next version of an object has another domain or account than the one before."""
        return domain_of(before) != domain_of(after) or self.account_of(before) != self.account_of(after)

    def _check_account(self, name: str, after: Body | None, needed: Collection[Right], *, is_new: bool) -> None:
        for right in needed:
            if is_new and name != self._scope.agent:
                self._scope.require_right(right)
            else:
                self._scope.require_below(name, right)
        self.reach.note(None if is_new else name, needed)
        if after is not None:
            agent = after.get("agent")
            if not isinstance(agent, str):
                raise OrderError("keys", "has no account as agent", "name one of yours")
            if agent not in self._made:
                self._scope.require_visible(agent)
            self.reach.note(agent)  # also one that the order makes: the account is below it then
        if is_new:
            self._made.add(name)

    def _check_trunk(self, name: str, keys: Body, needed: Collection[Right]) -> None:
        account = self._account_of(name, keys)
        for right in needed:
            if account in self._made:
                self._scope.require_right(right)
            else:
                self._scope.require_below(account, right)
        self.reach.note(None if account in self._made else account, needed)

    def cleaned(self, error: ConfigError, versions: Collection[ObjectVersion]) -> ConfigError:
        """Return the mistakes of a change without names, files and objects that the agent does not see."""
        own = {each.name for each in versions} | (self._scope.visible or frozenset())
        errors = islice((each for each in error.problems if each.severity.value == "error"), MISTAKES_MAX)
        return ConfigError(dict.fromkeys(self._cleaned(each, own) for each in errors))

    def _cleaned(self, problem: DefinitionProblem, own: Collection[str]) -> DefinitionProblem:
        label = _LABEL.match(problem.key)
        if label is None or label[1] not in SETTABLE or label[2] not in own:
            return problem._replace(file="", line=0, key="", value=None, expected=_IN_ANOTHER)
        found = _KEY.match(problem.key, label.end())
        if found is not None and found[1] not in SETTABLE[label[1]] and found[1] != KINDS[label[1]]:
            file = f"{label[1]} {label[2]}"
            return problem._replace(file=file, line=0, key=label[0], value=None, expected=_IN_HIDDEN_KEY)

        def known(match: re.Match[str]) -> str:
            is_shown = match[1] in own or match[1] in {problem.value, "- "}  # the dash of a list is no name
            return match[0] if is_shown else "another"

        expected = _PATH.sub("", _VERSION.sub("", _QUOTED.sub(known, problem.expected.partition("; ")[0])))
        return problem._replace(file=f"{label[1]} {label[2]}", line=0, expected=expected)
