"""The judge of the physics world: reads what a clip shows from its pixels alone."""
