"""The countables: what hardware does that is counted, in the same words for every chip."""

from __future__ import annotations

COUNTABLES: dict[str, str] = {
    "neuron_visited": "a neuron's state was looked at in a tick",
    "neuron_updated": "a neuron's state was advanced, or an analog neuron settled",
    "neuron_fired": "a neuron emitted a spike",
    "synaptic_event": "one spike or analog input reached one synapse",
    "message": "one packet from a neuron to a core",
    "hop_east": "one packet crossed one link eastwards",
    "hop_west": "one packet crossed one link westwards",
    "hop_north": "one packet crossed one link northwards",
    "hop_south": "one packet crossed one link southwards",
    "dac_conversion": "one input row was driven to an analog level",
    "adc_conversion": "one column or neuron output was digitised",
    "cell_read": "one weight cell carried a read current",
    "cell_read_conductance": "conductance read, in units of g_max/2^16, weighted with the squared relative voltage",
    "weight_pulse": "one programming pulse on one weight device",
    "weight_pulse_conductance": "conductance under programming pulses, in units of g_max/2^16",
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
