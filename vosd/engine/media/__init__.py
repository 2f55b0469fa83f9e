"""Media of the running calls: ports of a relay in session descriptions, and the end of calls that fell silent."""
