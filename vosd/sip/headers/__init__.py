"""Header fields as value types, one a file; each reads from text and writes itself back."""
