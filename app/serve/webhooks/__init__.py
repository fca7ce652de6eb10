"""Tells a receiver that the operator names when a video has ended. No request can name one."""
