"""The `kinetoscope` command."""
