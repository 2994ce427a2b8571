"""Spaces over HTTP: commands, views, event streams."""
