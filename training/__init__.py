"""What every training run needs: command line, checkpoints, optimizer, guards."""
