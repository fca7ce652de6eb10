"""From files to rows of features: which clips there are, how they are read, what networks make of
them."""
