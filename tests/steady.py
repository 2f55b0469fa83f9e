"""What Hypothesis draws its examples from: the strategies of a test alone.

Hypothesis also draws numbers and texts that stand anywhere in the source files that are loaded at that moment. Which
these are depends on what a worker ran before, so that a test would have other examples in every run and with every
change of any file; and to look through 30,000 of them takes more time than most properties.
"""

from hypothesis.internal.conjecture import providers


def draw_from_strategies_alone() -> None:
    """Let no source file add to the examples."""
    providers.is_local_module_file = lambda _file: False
