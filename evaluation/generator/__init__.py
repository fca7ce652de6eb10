"""Any generator of ours on held-out clips of any data set: bits, samples, distances, speed."""
