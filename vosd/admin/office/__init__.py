"""Use cases behind every front: terminal, later HTTP and pages (ADR 103).

A use case takes the office, a ``Principal`` and a typed order. It checks right and scope itself, validates, makes its
change in one transaction with its line in the audit, has the running switch take note, and returns a typed result or
raises a ``VosError`` with a code. It knows the database by ports and the switch by its client. A front parses, calls
and prints; it has no rule.

Every use case raises ``PermissionLackingError`` and, unless it is declared ``by_account``, ``OperatorsOnlyError``
(``needs``), and ``StoreUnavailable`` where the database is away, locked or too slow: try the same again, for probably
nothing was changed. One that takes the name of an account raises ``UnknownAccountError`` where it is not known, and
``OutOfScopeError``, ``RightLackingError`` or ``SetByOthersError`` where the agent or customer does not see it, or may
not do that; one that asks the running switch ``DaemonUnreachableError`` or ``DaemonRefusedError`` where that does not
answer, or does not do it. An order raises ``OrderError`` where it makes no sense, whatever the state of the switch. A
docstring names these errors only where more follows from them.
"""
