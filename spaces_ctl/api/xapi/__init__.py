"""The X API v2's six Spaces endpoints, so that clients made for X work here unchanged.

`problems` (X's errors), `parameters` (what may be asked), `render` (X's objects), `rates`, `handlers`.
"""
