"""`kinetoscope serve`: videos over HTTP, from a queue that survives a kill."""
