"""The management API: every use case of the office over HTTP, in a process of its own (ADR 120).

Read ``table.py`` first: it declares every operation once, and requests, rights and the OpenAPI document follow from it.
It does not know rules: a handler makes an order, and the office judges it.
"""
