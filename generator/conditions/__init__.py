"""What a person gives: one class per kind of condition."""
