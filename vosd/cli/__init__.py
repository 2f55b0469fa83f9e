"""The command line ``vosd``: one file for each family of verbs, each verb thin over a use case of ``admin``.

Owns arguments, output and exit codes (see ``cli.command``); rules and SQL are elsewhere. The modules of a verb are
imported when it is called, so that ``vosd status`` is fast.
"""
