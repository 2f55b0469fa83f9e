"""The command line ``vosd``: one file a family of verbs, each thin over a use case of ``admin``.

Owns arguments, output and exit codes (INTERFACES section 2); refuses to hold rules of its own, and to speak
SQL. A verb's machinery is imported when the verb is called, so that ``vosd status`` answers at once.
"""
