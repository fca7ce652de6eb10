"""What moves on the stage: scenes that are possible, physics, the camera."""
