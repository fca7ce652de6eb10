"""YAML files for Lightning CLI: one per model and size."""
