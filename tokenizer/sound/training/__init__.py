"""Training of sound tokenizers by Lightning CLI."""
