"""A call as data, and the call made again from it; knows neither journal nor switch.

A snapshot holds strings, numbers, bytes, tuples and frozen structs. Trunks are named: their terms come from the
catalogue of the process that restores. A field at its default is left out: a call between two requests is short.
"""
