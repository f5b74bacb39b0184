"""What every test has."""

from hypothesis import HealthCheck, settings

# a busy machine is no failure
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.load_profile("tests")
