"""What the commands do, run by run."""
