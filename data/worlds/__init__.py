"""Worlds: endless true video with captions, and judges that read it back."""
