"""Who is recorded as the operator of a command."""

import click
import pytest

from vosd.cli.arguments import Operator


@pytest.mark.parametrize("name", ["the switch", "the fraud watch", "the  other", "The switch"])
def test_a_name_of_the_switch_is_refused(name):
    with pytest.raises(click.BadParameter, match="only the switch records"):
        Operator().convert(name, None, None)


@pytest.mark.parametrize("name", ["vosd", "theodora", "ann"])
def test_any_other_name_is_recorded_as_it_is(name):
    assert Operator().convert(f" {name} ", None, None) == name
