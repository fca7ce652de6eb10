"""What every training run needs, whatever the model: command line, checkpoints, optimizer,
guards."""
