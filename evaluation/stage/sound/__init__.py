"""What is heard in sounds of the stage: in those of the world, and in drawn ones."""
