"""What every test may use: the world (tests/world)."""

pytest_plugins = ["tests.world.fixtures"]
