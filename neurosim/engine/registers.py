"""Names of the scalar registers that composed kernels and the control plane share.

Settings (``pi`` integers, ``pf`` floats) are written once; registers (``ri``, ``rf``) are the machine's scalar state;
the tally (integers) counts what happened since the control plane last emptied it.
"""

from __future__ import annotations

SETTINGS_INT = (
    "SEED", "TAU_X", "TAU_P", "TAU_THETA", "N_TRAIN", "N_TEST", "SHUFFLE", "DAC_BITS", "ADC_BITS", "COST_BITS",
    "C_TILDE_BITS", "ROUNDING", "MAX_PULSES", "OPTIMIZER", "DECAY_STEPS", "LATENCY", "DELAY_MATCHED",
    "REFRESH_MEASUREMENTS", "DELTA_BITS", "VERIFY_LIMIT", "REFRESH_EVERY",
)  # fmt: skip
SETTINGS_FLOAT = (
    "NORM_MAG", "SIZE", "AMPLITUDE", "LEARNING_RATE", "BETA1", "BETA2", "ESTIMATE_SCALE", "CLAMP", "TAU_HP",
    "READ_NOISE", "COST_NOISE", "BROADCAST_NOISE", "MEMBRANE_NOISE", "DAC_RANGE", "ADC_RANGE", "COST_RANGE",
    "C_TILDE_RANGE", "SMOOTHING", "STEP_SIZE", "CYCLE_STD", "WRITE_STD", "S0", "S1", "CELL_PAIR", "NODE_RATE",
    "KAPPA", "PRIOR_RATE", "MEMORY_RATE", "ORTHOGONAL_RATE", "DELTA_NOISE", "DELTA_RANGE", "PROBE_RMS",
    "ALIGNED_MEMORY_RATE", "START_MEMBRANE", "REFRESH_BLEND", "DELTA_KEEP", "TRACE_DECAY", "ELAPSE_PERIOD_S",
    "VERIFY_TOLERANCE", "VERIFY_GRAIN", "W_LOW", "W_HIGH", "CELL_LOW", "CELL_PER_RANGE", "CELL_FLOOR",
)  # fmt: skip
REGISTERS_INT = (
    "STEP", "SAMPLE", "LABEL", "STALE", "CURRENTS_STALE", "EDGE", "NUMBER", "DIVERGED", "ACTIVE_FIRST",
    "CONDUCTANCE_FIRST", "MOMENT", "SHOWN", "VIEW_STALE", "NOW_S", "NOW_FS", "ELAPSES", "WRITES",
)  # fmt: skip
REGISTERS_FLOAT = (
    "C_0", "C_1", "C_2", "C_TILDE", "C_PREVIOUS", "RATE", "COST_SUM", "C_TILDE_SUM", "SQUARES_FIRST", "ELAPSED_S",
    "VIEWED_S", "RENEWED_S",
)  # fmt: skip
VIEWED = ("VIEW_STALE", "NOW_S", "NOW_FS", "ELAPSES", "ELAPSED_S", "VIEWED_S", "RENEWED_S", "ELAPSE_PERIOD_S")
"""Names that only kernels know in whose runs time, or the array, changes what is read of a device."""
TALLIES = (
    "STEPS", "SAMPLES", "CLEAN", "PERTURBED", "DRAWS", "APPLICATIONS", "COSTS", "BROADCASTS", "ZERO_C_TILDE",
    "DEAD_ZONE", "PROBES", "UPDATES", "WRITTEN", "PULSES", "WRITE_SLOTS", "ACCUMULATIONS", "REPLAYS", "REFRESHES",
    "DELTA_WORDS", "DELTA_WRITES", "PERTURBATION_PULSES", "PERTURBATION_SLOTS",
    "RECORDED", "BUSY", "BUSY_LOW", "BUSY_HIGH", "ERRORS", "COMPARED", "FEEDBACK",
    "VERIFY_READS", "VERIFY_SLOTS", "VERIFY_CONDUCTANCE", "PULSE_CONDUCTANCE", "REFRESHED", "MISSED",
)  # fmt: skip
PER_LAYER = ("ACTIVE", "CONDUCTANCE", "FIRED")


def index(names: tuple[str, ...]) -> dict[str, int]:
    """Position of each name."""
    return {name: k for k, name in enumerate(names)}


def tally_names(layers: int) -> tuple[str, ...]:
    """All tallies: the common ones, then per layer its active inputs, conductance read and spikes."""
    return (*TALLIES, *(f"{name}_{layer}" for layer in range(layers) for name in PER_LAYER))


def constants(layers: int, *, viewed: bool = False) -> str:
    """The register names as Python constants, for the head of a composed source file; ``viewed``: with ``VIEWED``."""
    lines = []
    for prefix, names in (("PI", SETTINGS_INT), ("PF", SETTINGS_FLOAT), ("RI", REGISTERS_INT), ("RF", REGISTERS_FLOAT)):
        lines += [f"{prefix}_{name} = {k}" for k, name in enumerate(names) if viewed or name not in VIEWED]
    lines += [f"T_{name} = {k}" for k, name in enumerate(tally_names(layers))]
    if viewed:
        lines.append(f"TALLIES = {len(tally_names(layers))}")
    return "\n".join(lines)
