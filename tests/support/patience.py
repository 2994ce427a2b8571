"""How long tests wait for what must become true."""

PATIENCE_S = 60.0
"""Only a test that fails waits for so long: a machine that is three times slower, or busy for seconds, fails none."""
