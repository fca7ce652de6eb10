"""The storyboard on the page: shots in a row, drawn shot by shot, one video at the end."""
