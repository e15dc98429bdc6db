"""The countables: what hardware does that is counted, in the same words for every chip."""

from __future__ import annotations

COUNTABLES: dict[str, str] = {
    "neuron_visited": "a neuron's state was looked at in a tick",
    "neuron_updated": "a neuron's state was advanced, or an analog neuron settled",
    "neuron_fired": "a neuron emitted a spike",
    "synaptic_event": "one spike or analog input reached one synapse",
    "dendrite_updated": "one input was added to a dendrite or accumulator of its own, before the soma",
    "message": "one packet from a neuron to a core",
    "message_received": "one packet was taken in and decoded by the core that it reached",
    "hop_east": "one packet crossed one link eastwards",
    "hop_west": "one packet crossed one link westwards",
    "hop_north": "one packet crossed one link northwards",
    "hop_south": "one packet crossed one link southwards",
    "hop_chip": "one packet crossed the link from one chip to the next",
    "dac_conversion": "one input row was driven to an analog level",
    "adc_conversion": "one column or neuron output was digitised",
    "cell_read": "one weight cell carried a read current",
    "cell_read_conductance": "conductance read, in units of g_max/2^16, weighted with the squared relative voltage",
    "weight_pulse": "one programming pulse on one weight device",
    "weight_pulse_conductance": "conductance under programming pulses, in units of g_max/2^16",
    "synapse_updated": "a plasticity engine read, changed and wrote one digital weight",
    "byte_moved": "one byte went between a memory and the processor that works on it",
    "perturbation_drawn": "one random number or code word of a perturbation generator",
    "perturbation_applied": "one weight held at its perturbed value for one inference",
    "perturbation_replayed": "one perturbation regenerated when weights are written",
    "node_injection": "one neuron received an injected current for one inference",
    "gradient_accumulated": "one gradient integrator, momentum or residual register was updated",
    "activity_stored": "one neuron's activity was written to its local register",
    "broadcast_word": "one word (cost, or one entry of a delta-vector) was broadcast by an astrocyte",
    "delta_written": "one entry of the astrocyte's delta memory was written",
    "cost_evaluated": "one cost was computed by the cost unit",
    "sample_word_loaded": "one input or target word came over the host link",
    "host_weight_written": "one weight was set or restored through the host link",
    "barrier": "all cores waited for one another",
}

CONDUCTANCE_UNIT = 2**16
"""Conductances are counted in units of g_max / 2^16, so that sums of V^2 t g stay exact integers."""

UNITS: dict[str, tuple[str, ...]] = {
    "axon_in": ("message_received",),
    "synapse": ("synaptic_event", "cell_read", "cell_read_conductance", "byte_moved"),
    "dendrite": ("dendrite_updated",),
    "soma": ("neuron_visited", "neuron_updated", "neuron_fired"),
    "axon_out": ("message",),
    "mesh": ("hop_east", "hop_west", "hop_north", "hop_south", "hop_chip"),
    "converter": ("dac_conversion", "adc_conversion"),
    "plasticity": (
        "weight_pulse", "weight_pulse_conductance", "synapse_updated", "gradient_accumulated", "activity_stored",
    ),
    "perturbation": ("perturbation_drawn", "perturbation_applied", "perturbation_replayed", "node_injection"),
    "astrocyte": ("cost_evaluated", "broadcast_word", "delta_written"),
    "host": ("sample_word_loaded", "host_weight_written"),
    "clock": ("barrier",),
}  # fmt: skip
"""Which unit of the chip does what: every countable belongs to exactly one unit."""

OPTIONAL = ("dendrite_updated", "byte_moved")
"""Counted only on a chip that prices it: others have no such unit, or hold it in the price of synaptic_event."""
