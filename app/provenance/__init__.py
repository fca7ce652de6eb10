"""Where a video came from: what is written into it, and what can be read out of it again."""
