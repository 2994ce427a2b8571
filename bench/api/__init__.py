"""Requests per second of the HTTP API beside a bare handler of the same framework: `python -m bench.api`."""
