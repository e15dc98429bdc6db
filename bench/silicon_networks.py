"""The networks behind two rows of measured-onchip.json, as far as they are published.

Spiking backpropagation on Loihi: layers, connections, cores and schedule follow the authors' public programme
(github.com/lanl/spikingBackprop: network_topology_2layer.py, network_parameters_2layer_MNIST.py, backprop_network.py,
compartment_tools.py), told here in our own words. Layers: ``x`` input, ``h`` hidden, ``o`` output, ``<`` and ``>``
their copies with a lower and a higher threshold, ``hT`` and ``oT`` the backward pass, ``d`` the error, ``m`` memories,
``c`` the condition, ``t`` the target, ``g`` the gates that take turns, one a tick.

Nearest-neighbour search: the board of Frady et al. as one of its 32 chips, each of which holds 2,400 of the patterns.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping

from silicon_replay import Bundle, Layer, Plan

INPUTS, HIDDEN, OUTPUTS = 400, 400, 10
PLASTIC = 3 * INPUTS * HIDDEN + 3 * HIDDEN * OUTPUTS + 2 * OUTPUTS * HIDDEN
"""Plastic synapses: W1 and W2 in three copies (state, lower, higher threshold), W2 transposed in two (plus, minus)."""

# The programme spreads a layer over cores 16 to 94 (relays) or 2 to 79 (layers that learn): 6 neurons on a core, or 1.
RELAYS, LEARNERS, GATES = 16, 2, 40


def _layer(name: str, size: int, first: int) -> Layer:
    return Layer(name, size, first, 6 if size == INPUTS else 1)


def inference(lit: int, hidden: int, output: int = 1) -> Plan:
    """Four ticks: gates pass the sample from x to h to o. ``lit`` inputs, ``hidden`` and ``output`` neurons fire."""
    layers = [_layer("x", INPUTS, RELAYS), _layer("h", HIDDEN, LEARNERS), _layer("o", OUTPUTS, LEARNERS)]
    gates = [Layer(f"g{k}", 1, GATES, 1) for k in range(4)]
    bundles = [
        Bundle("x", "h"), Bundle("h", "o"), Bundle("g1", "x"), Bundle("g2", "h"), Bundle("g3", "o"),
        *(Bundle(f"g{k}", f"g{(k + 1) % 4}") for k in range(4)),
    ]  # fmt: skip
    ticks = [{"g0": 1}, {"g1": 1, "x": lit}, {"g2": 1, "h": hidden}, {"g3": 1, "o": output}]
    return Plan([*layers, *gates], bundles, ticks)


HIDDEN_COPIES, OUTPUT_COPIES = ("h", "h<", "h>"), ("o", "o<", "o>")
GATED: Mapping[int, tuple[str, ...]] = {
    0: (*OUTPUT_COPIES, *HIDDEN_COPIES),
    1: ("x",),
    2: ("h", "h<", "h<", "h>"),
    3: ("m_h", "o", "o<", "o<", "o>", "t"),
    4: ("hT",),
    5: ("h", "hT", "oT", *OUTPUT_COPIES),
    6: ("m_x", "hT", "hT", "c", *HIDDEN_COPIES, *OUTPUT_COPIES),
    7: ("x",),
    8: (*OUTPUT_COPIES, *HIDDEN_COPIES),
    9: ("h", "hT", *OUTPUT_COPIES, "oT"),
    10: ("hT", "hT", *HIDDEN_COPIES, *OUTPUT_COPIES),
    11: ("x",),
}
"""Which layers each gate opens or shuts; a layer named twice gets two synapses from it."""


def training(lit: int, hidden: int, box: int, back: int) -> Plan:
    """Twelve ticks of one training sample.

    ``lit`` inputs; ``hidden`` neurons above threshold; ``box`` where the slope is not zero; ``back`` that an error
    reaches. Mean counts, so the output's few spikes are rounded to one.
    """
    relays = {"x": INPUTS, "m_x": INPUTS, "m_h": HIDDEN, "c": HIDDEN, "t": OUTPUTS, "d-": OUTPUTS, "d+": OUTPUTS}
    learners = {**dict.fromkeys((*HIDDEN_COPIES, "hT"), HIDDEN), **dict.fromkeys((*OUTPUT_COPIES, "oT"), OUTPUTS)}
    layers = [_layer(name, size, RELAYS) for name, size in relays.items()]
    layers += [_layer(name, size, LEARNERS) for name, size in learners.items()]
    layers += [Layer(f"g{k}", 1, GATES, 1) for k in range(12)]
    bundles = [Bundle("x", name) for name in HIDDEN_COPIES] + [Bundle("h", name) for name in OUTPUT_COPIES]
    bundles += [Bundle("o", "hT"), Bundle("oT", "hT")]
    bundles += [
        Bundle(source, target, "one", times)
        for source, target, times in (
            ("x", "m_x", 1), ("h", "m_h", 1), ("o<", "d-", 1), ("o<", "d+", 1), ("o>", "d-", 1), ("o", "d-", 1),
            ("t", "d-", 1), ("t", "d+", 1), ("o", "d+", 1), ("m_h", "h", 2), ("m_h", "hT", 2), ("hT", "h", 1),
            ("hT", "h<", 1), ("hT", "h>", 1), ("m_x", "x", 2), ("c", "h", 2), ("c", "h<", 2), ("c", "h>", 2),
            ("h<", "c", 1), ("h>", "c", 1), *((d, o, 1) for d in ("d-", "d+") for o in (*OUTPUT_COPIES, "oT")),
        )
    ]  # fmt: skip
    for k, opened in GATED.items():
        bundles += [Bundle(f"g{k}", name, "all", opened.count(name)) for name in dict.fromkeys(opened)]
        bundles.append(Bundle(f"g{k}", f"g{(k + 1) % 12}"))
    ticks: list[dict[str, int]] = [{f"g{k}": 1} for k in range(12)]
    for k in (1, 7, 11):
        ticks[k]["x"] = lit
    ticks[2] |= {"h": hidden, "h<": hidden + box // 2, "h>": hidden - box // 2}
    ticks[3] |= {"o": 1, "o<": 1, "o>": 1, "m_h": hidden, "t": 1}
    for k in (5, 9):
        ticks[k] |= {"h": hidden, "hT": hidden}
    ticks[6] |= {"m_x": lit, "c": box, "hT": back}
    ticks[10] |= {"hT": back}
    for k in (7, 11):
        ticks[k] |= dict.fromkeys(HIDDEN_COPIES, back)
    return Plan(layers, bundles, ticks)


def search_chip(spikes: int, ticks: int, patterns: int = 2400, inputs: int = 1000) -> Plan:
    """One of 32 chips: ``spikes`` of ``inputs`` relays, spread over ``ticks``, reach every pattern neuron."""
    layers = [Layer("input", inputs, 0, 8), Layer("pattern", patterns, 0, -(-patterns // 128))]
    edges = [k * spikes // ticks for k in range(ticks + 1)]
    fires = [{"input": after - before} for before, after in itertools.pairwise(edges)]
    return Plan(layers, [Bundle("input", "pattern")], fires)
