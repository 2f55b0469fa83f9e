"""``vosd parameters``: the parameters of VOS3000 as they are in force."""

import textwrap

import click

from vosd.cli import output
from vosd.cli.command import Invocation, Verb, json_verb
from vosd.cli.office import ordered


@click.command(cls=Verb)
@json_verb
def parameters(invocation: Invocation) -> None:
    """List the parameters of VOS3000: value, source and meaning of each.

    The source is ``default``, the file with its line, or the database; a running switch has them since its last reload.
    """
    from vosd.admin.office.parameters import ListParameters, list_parameters

    found = ordered(invocation, list_parameters, ListParameters())
    if output.printed_as_json(found):
        return
    width = output.columns_of_screen() or 80
    for each in found:
        output.line(f"{each.name} = {each.value or '(empty)'}  [{each.source}]")
        output.line(textwrap.fill(each.meaning, width, initial_indent="    ", subsequent_indent="    "))
