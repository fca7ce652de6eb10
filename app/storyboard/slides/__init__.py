"""Slides of a PDF, when they change, and the storyboard that they make."""
