"""A page on this machine on which videos are made and kept: `kinetoscope studio`."""
