"""What lasts in videos longer than those that a model learned from."""
