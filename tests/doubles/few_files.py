"""A daemon that begins with the right to open few files, as many services do."""

import resource


def few_files() -> None:
    """Lower the limit of this process, which is to become a daemon; it may raise it again."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
