"""The office of a configured switch, as every front needs it: the command line and the management API.

Refuses to know terminals and HTTP.
"""
