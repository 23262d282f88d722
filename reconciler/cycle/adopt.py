"""Taking over what already runs: saved as a restorable, verified release first, and nothing is recreated."""

from __future__ import annotations
