"""What a model gives back of the clips that it was trained on."""
