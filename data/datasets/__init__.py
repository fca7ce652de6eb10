"""Folders, lists and shards of videos, as sources of clips."""
