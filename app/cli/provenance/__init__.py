"""Commands about where videos and models came from."""
