"""The decoder-only transformer over codes."""
