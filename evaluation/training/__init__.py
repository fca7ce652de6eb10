"""Measures on the way of a training run, named by class path in its config."""
