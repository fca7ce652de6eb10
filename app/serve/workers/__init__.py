"""Processes that draw, and processes that decode what clients send."""
