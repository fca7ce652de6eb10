"""What a model learned from: the content, source, licence and owner of every video."""
