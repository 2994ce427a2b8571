"""`spaces serve`: the whole server in one process. `run` is the list of steps."""
