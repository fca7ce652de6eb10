"""The server with its workers on many machines, by Ray Serve."""
