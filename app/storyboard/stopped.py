"""How drawing says that its caller wanted no more."""


class Stopped(Exception):
    """Somebody wants no more of it; what was drawn is kept."""
