"""What every test may use: the world (tests/world)."""

from hypothesis import settings

settings.register_profile("project", deadline=None)  # speed is bench's business; a loaded machine is no defect
settings.load_profile("project")

pytest_plugins = ["tests.world.fixtures"]
