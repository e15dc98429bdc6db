"""What a user writes: chip, network, task, training, probes and stop rule; typed, validated, every error at once."""
