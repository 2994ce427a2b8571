from tests.support.databases import *  # noqa: F403  # its fixtures; `__all__` says which
