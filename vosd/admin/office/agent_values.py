"""Values that an agent gives to keys: those that it may not give, and the names, domains and sources in them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from vosd.admin.office.principal import OrderError
from vosd.catalogue.stored_objects import ObjectVersion
from vosd.routing.rewrite import WrittenRule, size_of_expressions

_NEVER: Final = frozenset({"password_file"})
"""Keys inside of other keys that name files of the switch."""
HOSTS_MAX: Final = 256
"""Hosts that an agent gives to one gateway or phone at most; it may make as many of them as it needs."""
_VALUES_MAX: Final = {"spend_limits": 20, "user_agents": 500, "codecs": 50}
"""Values of keys with which each call is compared; of an account its limits each second, too.

They are no bounds of the keys themselves: where an object that an earlier version has taken is a mistake, no object of
the database is in force from the next start on.
"""
EXPRESSIONS_MAX: Final = 1_000
"""Instructions of all regular expressions that an agent gives to one gateway or phone for a number.

A usual one has 10 to 50. A thousand expressions of a thousand instructions hold all calls up for a second at each call.
"""
_REWRITE: Final = frozenset({"callee_rewrite", "caller_rewrite"})


def check_value(key: str, value: Any) -> None:
    """Raise OrderError where an agent may not give a key this value, whatever object has it."""
    if _has_variable(value):
        raise OrderError("keys", f"has a variable in {key}, which is not for agents", "write the value")
    if key == "hosts" and isinstance(value, list) and len(value) > HOSTS_MAX:
        said = f"has {len(value)} hosts, and those of agents have at most {HOSTS_MAX}"
        raise OrderError("keys", said, "name networks, or make several gateways")
    if (most := _VALUES_MAX.get(key)) is not None and (number := _number_of_values(value)) > most:
        said = f"has {number} values in {key}, and those of agents have at most {most}"
        raise OrderError("keys", said, "give fewer values: each call is compared with all of them")
    if key in _REWRITE and size_of_expressions(_rules_in(value), EXPRESSIONS_MAX) > EXPRESSIONS_MAX:
        said = f"has regular expressions in {key} that take too much time"
        raise OrderError("keys", said, "write fewer of them, with shorter repeats than .{500}, or prefixes")


def is_source(changed: Mapping[str, tuple[Any, Any]]) -> bool:
    """Return whether changed keys of a mapping gateway say which packets are its own.

    A preset may have hosts. Credentials that others take the place of have no part in it.
    """
    if not changed.keys().isdisjoint({"hosts", "preset", "tech_prefix"}):
        return True
    return "auth" in changed and not all(map(_has_user, changed["auth"]))


def _has_user(auth: Any) -> bool:
    return isinstance(auth, dict) and bool(auth.get("username"))


def domain_in(auth: Any) -> Any:
    """Return the domain in credentials as they are written; None = there is none."""
    return str(auth["domain"]) if isinstance(auth, dict) and auth.get("domain") else None


def domain_of(version: ObjectVersion) -> Any:
    """Return the domain of a phone or gateway as a version has it; None = it has none."""
    keys = json.loads(version.body or "{}")
    return domain_in(keys if version.kind == "phones" else keys.get("auth"))


def names_in(value: Any) -> list[str]:
    """Return the names in a list of them, or the name that stands alone."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def _number_of_values(value: Any) -> int:
    """Return the number of values in a list, which may be written as text with commas."""
    return value.count(",") + 1 if isinstance(value, str) else len(value) if isinstance(value, list) else 0


def _rules_in(value: Any) -> Iterator[WrittenRule]:
    """Yield the rules of a list, or of one rule alone; what is none is left out."""
    rules = value if isinstance(value, list) else []
    for each in [rules] if all(isinstance(side, str) for side in rules) else rules:
        if isinstance(each, list) and len(each) == 2 and all(isinstance(side, str) for side in each):
            yield WrittenRule(*each)


def names_file(value: Any) -> bool:
    """Return whether a value has a key that names a file of the switch, at any level."""
    return isinstance(value, dict) and any(key in _NEVER or names_file(each) for key, each in value.items())


def _has_variable(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_variable, value.values()))
    if isinstance(value, list):
        return any(map(_has_variable, value))
    return isinstance(value, str) and "${" in value
