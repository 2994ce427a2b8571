"""The imperative shell: loads facts, asks the policy, commits, programs the engine. What `api` and `cli` call.

Raises `ServiceError` with one of the policy's codes.
"""
