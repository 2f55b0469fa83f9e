"""The keys of the configuration: one section of the file a module."""
