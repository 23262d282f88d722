"""Command line: parse, call, render, exit code."""
