"""Rules of plasticity: what pairs of spikes do to a weight."""
