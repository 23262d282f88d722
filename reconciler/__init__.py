"""A declarative state reconciler for Docker Compose applications on plain servers."""

__version__ = "0.1.0"
