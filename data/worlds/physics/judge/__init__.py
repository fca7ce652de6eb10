"""The judge of the physics world: it reads from the pixels alone what a clip shows."""
