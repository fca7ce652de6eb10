"""Distances between two sets of features, whatever they are features of."""
