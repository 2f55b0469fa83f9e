"""What agents see and may do: their own accounts and those below, by the rights that no agent above them lacks."""

import pytest
from hypothesis import given, strategies as st

from vosd.billing.agents import Hierarchy
from vosd.billing.authority import Authority, NoAgentError, OutOfScopeError, RightLackingError
from vosd.billing.rights import Right, lacking

TREE = Hierarchy({"top": None, "mid": "top", "acme": "mid", "bingo": "top", "other": None, "its": "other"})
ALL = frozenset(Right)


def authority(agent="mid", rights=ALL, above=ALL):
    return Authority.of(agent, TREE, {"top": above, "mid": rights, "other": rights, agent: rights})


def test_an_agent_sees_its_own_account_and_all_below_it():
    assert authority("top").visible == {"top", "mid", "acme", "bingo"}
    assert authority("mid").visible == {"mid", "acme"}


def test_an_account_that_no_other_one_names_is_no_agent():
    with pytest.raises(NoAgentError, match="account acme is no agent"):
        authority("acme")
    was_one = Authority.of("acme", TREE, dict.fromkeys(("top", "mid", "acme"), ALL), was_agent=True)
    assert was_one.visible == {"acme"}


@pytest.mark.parametrize("account", ["top", "bingo", "other", "its", "unknown"])
def test_an_account_that_it_does_not_see_is_as_one_that_does_not_exist(account):
    may = authority("mid")
    for attempt in (may.require_visible, may.require_ledger, lambda name: may.require_below(name, Right.ACCOUNTS)):
        with pytest.raises(OutOfScopeError, match=f"^agent mid has no account {account}$"):
            attempt(account)


def test_its_own_account_is_seen_and_not_changed():
    may = authority("mid")
    may.require_visible("mid")
    with pytest.raises(OutOfScopeError, match="changes accounts below it, not its own"):
        may.require_below("mid", Right.ACCOUNTS)


@pytest.mark.parametrize("right", Right)
def test_each_right_is_needed_for_itself(right):
    authority("mid", frozenset({right})).require_below("acme", right)
    with pytest.raises(RightLackingError, match=f"agent mid lacks the right {right.value}"):
        authority("mid", ALL - {right}).require_below("acme", right)


def test_the_ledger_of_its_own_account_and_of_those_below_are_two_rights():
    own, below = authority("mid", frozenset({Right.OWN_PAYMENTS})), authority("mid", frozenset({Right.SUB_PAYMENTS}))
    own.require_ledger("mid")
    below.require_ledger("acme")
    for may, account in ((own, "acme"), (below, "mid")):
        with pytest.raises(RightLackingError):
            may.require_ledger(account)


def test_a_right_that_an_agent_above_lacks_is_suspended():
    assert authority("mid", above=ALL - {Right.PHONES}).rights == ALL - {Right.PHONES}


rights = st.frozensets(st.sampled_from(Right))
names = st.integers(0, 9)


@given(
    parents=st.lists(st.integers(-1, 8), min_size=10, max_size=10),
    given_rights=st.lists(rights, min_size=10, max_size=10),
)
def test_no_agent_below_another_one_sees_or_may_do_more(parents, given_rights):
    """``parents`` of a number is a smaller one, or -1: a tree."""
    agent_of = {str(n): (str(parent) if 0 <= parent < n else None) for n, parent in enumerate(parents)}
    tree = Hierarchy(agent_of)
    rights_of = {str(n): each for n, each in enumerate(given_rights)}
    made = {agent: Authority.of(agent, tree, rights_of) for agent in filter(tree.is_agent, agent_of)}
    for agent, may in made.items():
        above = made.get(agent_of[agent] or "")
        if above is not None:
            assert may.visible < above.visible
            assert lacking(above.rights, may.rights) == ()
