"""How property tests run: the same examples every time, and as slowly as the machine wants."""

from hypothesis import HealthCheck, settings

# A machine that is busy for a second is no bug of what is tested.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# New examples are for who looks for them (`pytest --hypothesis-profile=explore`), not for who changed something else.
settings.register_profile("same", settings.get_profile("explore"), derandomize=True)
settings.load_profile("same")
