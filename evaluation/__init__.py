"""Measuring tokenizers and generators."""
