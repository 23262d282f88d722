"""Forges, by their HTTP APIs."""
