"""The judge of the stage: what a clip shows and sounds like, from its pixels and samples alone."""
