"""From the keys to the catalogue: references are followed, defaults filled in, conflicts reported."""
