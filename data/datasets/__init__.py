"""Folders, lists and shards of videos, as sources of clips."""

SKIPPED = "skipped.csv"  # lists what could not be used, with reasons
