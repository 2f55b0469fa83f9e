"""The office of a configured switch, as every front needs it: the command line and the management API.

It does not know terminals and HTTP.
"""
