"""Videos as tokens to train on: batches, caches, shards."""
