"""Values: frozen models and the exception tree. Nothing here does I/O or reads a clock."""
