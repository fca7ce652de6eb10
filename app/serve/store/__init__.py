"""What a server keeps in its folder: the queue, keys, and what it has to tell others."""
