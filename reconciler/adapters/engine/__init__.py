"""The target's Docker Engine, over its API by the docker library."""
