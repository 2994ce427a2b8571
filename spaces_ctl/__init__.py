"""Spaces: live audio rooms. `spaces_ctl.engine` is the media engine, usable alone."""
