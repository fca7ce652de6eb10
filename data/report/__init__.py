"""What lies in a folder of videos, before anything is trained: rows, an overview, a page."""
