"""The clock: tick phases, schedule, simpy control plane, composed burst kernels, checkpoints."""
