"""Balls, cubes and cylinders on a checker floor."""
