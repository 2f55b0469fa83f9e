"""From keys to settings and to definitions of the catalogue: fields copied, files read, defaults settled."""
