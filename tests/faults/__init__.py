"""The fault harness: a real pass, stopped at each step of its way to the target, hit by a fault, and judged from the
world after the next passes. `python -m tests.faults --help`; docs/decisions say why it is built like this."""
