"""Measurements for Go/No-Go gates; they measure and never judge."""
