"""Env values: read, checked, never shown."""
