"""Command line: parse, call, render, exit code."""

import os

# Pydantic looks for plugins in every installed package at its first model: 10 ms for something that isn't used here.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
