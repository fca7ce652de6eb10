"""Models that ship with the package: one folder each."""

DEFAULT_MODEL = "stage-256"  # what draws videos where nobody names a model
