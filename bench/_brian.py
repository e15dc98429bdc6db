"""The Brian2 side of ``network_brian.py``: builds one case as a C++ project that can be run again and again.

Runs under a Python that has Brian2 2.9.0 (``pip install 'brian2==2.9.0' 'numpy<2.4' setuptools``), not under
neurosim's. Brian's compiled program draws its network, its start and its input anew whenever it runs, and writes to
``times.txt`` how long its simulation loop took.

    python bench/_brian.py CASE FOLDER [record]
"""

# mypy: ignore-errors
# ruff: noqa: F405

from __future__ import annotations

import sys
from pathlib import Path

import brian2
from brian2 import *  # noqa: F403
from network_brian import BALANCED, BRUNEL, CLASSIFIER, STDP, classifier_input

FLAGS = ["-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native", "-std=c++11"]
"""What Brian recommends, and the instruction set of this computer."""

CLOCK = r"""{ struct rusage use; struct timespec now;
  getrusage(RUSAGE_SELF, &use); clock_gettime(CLOCK_MONOTONIC, &now);
  FILE *f = fopen("TIMES", "a"); fprintf(f, "%.9f %.9f\n", now.tv_sec + 1e-9 * now.tv_nsec,
  use.ru_utime.tv_sec + use.ru_stime.tv_sec + 1e-6 * (use.ru_utime.tv_usec + use.ru_stime.tv_usec)); fclose(f); }"""
"""Wall clock and CPU time, before and after the simulation loop."""


def balanced(record: bool) -> tuple[brian2.Network, float]:
    """(a): synapses with two exponential currents, at random."""
    defaultclock.dt = BALANCED.tick_s * second
    space = {name: getattr(BALANCED, f"{name}_mV") * mV for name in ("threshold", "reset", "rest", "w_e", "w_i")}
    space |= {name: getattr(BALANCED, f"{name}_s") * second for name in ("tau_mem", "tau_e", "tau_i")}
    cells = NeuronGroup(
        BALANCED.neurons,
        """dv/dt = (g_e + g_i - (v - rest)) / tau_mem : volt (unless refractory)
           dg_e/dt = -g_e / tau_e : volt
           dg_i/dt = -g_i / tau_i : volt""",
        threshold="v > threshold", reset="v = reset", refractory=BALANCED.refractory_s * second, method="exact",
        namespace=space,
    )  # fmt: skip
    cells.v = "reset + rand() * (threshold - reset)"
    delay = BALANCED.delay_ticks * BALANCED.tick_s * second
    excite = Synapses(cells, cells, on_pre="g_e += w_e", delay=delay, namespace=space)
    inhibit = Synapses(cells, cells, on_pre="g_i += w_i", delay=delay, namespace=space)
    excite.connect(f"i < {BALANCED.excitatory}", p=BALANCED.probability)
    inhibit.connect(f"i >= {BALANCED.excitatory}", p=BALANCED.probability)
    return brian2.Network(cells, excite, inhibit, SpikeMonitor(cells, record=record, name="spikes")), BALANCED.run_s


def brunel(record: bool) -> tuple[brian2.Network, float]:
    """(b): synapses that move the membrane at once, and Poisson input from outside."""
    defaultclock.dt = BRUNEL.tick_s * second
    space = {name: getattr(BRUNEL, f"{name}_mV") * mV for name in ("threshold", "reset", "w_e", "w_i")}
    space["tau_mem"] = BRUNEL.tau_mem_s * second
    cells = NeuronGroup(
        BRUNEL.neurons, "dv/dt = -v / tau_mem : volt (unless refractory)", threshold="v > threshold",
        reset="v = reset", refractory=BRUNEL.refractory_s * second, method="exact", namespace=space,
    )  # fmt: skip
    delay = BRUNEL.delay_ticks * BRUNEL.tick_s * second
    excite = Synapses(cells, cells, on_pre="v += w_e", delay=delay, namespace=space)
    inhibit = Synapses(cells, cells, on_pre="v += w_i", delay=delay, namespace=space)
    excite.connect(f"i < {BRUNEL.excitatory}", p=BRUNEL.probability)
    inhibit.connect(f"i >= {BRUNEL.excitatory}", p=BRUNEL.probability)
    outside = PoissonInput(cells, "v", BRUNEL.outside, BRUNEL.outside_Hz / BRUNEL.outside * Hz, space["w_e"])
    monitor = SpikeMonitor(cells, record=record, name="spikes")
    return brian2.Network(cells, excite, inhibit, outside, monitor), BRUNEL.run_s


def classifier(record: bool) -> tuple[brian2.Network, float]:
    """(c): 784-500-10, every weight its own, given spikes."""
    hidden, output, spikes = classifier_input()
    defaultclock.dt = CLASSIFIER.tick_s * second
    space = {"tau_mem": CLASSIFIER.tau_mem_s * second}
    tick, pixel = np.nonzero(spikes)
    pixels = SpikeGeneratorGroup(spikes.shape[1], pixel, tick * CLASSIFIER.tick_s * second)
    like = {"model": "dv/dt = -v / tau_mem : 1", "threshold": "v > 1", "reset": "v = 0", "method": "exact"}
    cells, out = (NeuronGroup(each.shape[1], **like, namespace=space) for each in (hidden, output))
    first = Synapses(pixels, cells, "w : 1", on_pre="v += w")
    second_ = Synapses(cells, out, "w : 1", on_pre="v += w")
    for synapses, weights in ((first, hidden), (second_, output)):
        synapses.connect()
        synapses.w = weights.ravel()
    monitors = [SpikeMonitor(cells, record=record, name="spikes"), SpikeMonitor(out, record=record, name="output")]
    return brian2.Network(pixels, cells, out, first, second_, *monitors), len(spikes) * CLASSIFIER.tick_s


def stdp(record: bool) -> tuple[brian2.Network, float]:
    """(d): all inputs onto all neurons through synapses that learn."""
    defaultclock.dt = STDP.tick_s * second
    space = {name: getattr(STDP, f"{name}_s") * second for name in ("tau_mem", "tau_syn", "tau_plus", "tau_minus")}
    space |= {"w_max": STDP.w_max, "a_plus": STDP.a_plus, "a_minus": STDP.a_minus, "threshold": STDP.threshold}
    inputs = PoissonGroup(STDP.inputs, STDP.rate_Hz * Hz)
    cells = NeuronGroup(
        STDP.neurons, "dv/dt = (g - v) / tau_mem : 1\n dg/dt = -g / tau_syn : 1", threshold="v > threshold",
        reset="v = 0", method="exact", namespace=space,
    )  # fmt: skip
    synapses = Synapses(
        inputs, cells,
        """w : 1
           dx/dt = -x / tau_plus : 1 (event-driven)
           dy/dt = -y / tau_minus : 1 (event-driven)""",
        on_pre="g += w\n x += a_plus\n w = clip(w + y, 0, w_max)",
        on_post="y -= a_minus\n w = clip(w + x, 0, w_max)",
        namespace=space,
    )  # fmt: skip
    synapses.connect()
    synapses.w = "rand() * w_max"
    monitors = [SpikeMonitor(cells, record=record, name="spikes"), SpikeMonitor(inputs, record=False, name="inputs")]
    return brian2.Network(inputs, cells, synapses, *monitors), STDP.run_s


def main() -> None:
    """Write, compile and leave; who wants figures runs ``main`` in the folder."""
    case, folder = sys.argv[1], Path(sys.argv[2]).resolve()
    prefs.codegen.cpp.extra_compile_args_gcc = FLAGS
    prefs.codegen.cpp.headers += ["<sys/resource.h>", "<time.h>", "<stdio.h>"]
    prefs.devices.cpp_standalone.extra_make_args_unix = ["-j2"]
    set_device("cpp_standalone", build_on_run=False, directory=str(folder))
    for place in ("before_network_run", "after_network_run"):
        device.insert_code(place, CLOCK.replace("TIMES", str(folder / "times.txt")))
    network, run_s = {"a": balanced, "b": brunel, "c": classifier, "d": stdp}[case]("record" in sys.argv[3:])
    network.run(run_s * second, namespace={})
    device.build(directory=str(folder), compile=True, run=False, debug=False)


if __name__ == "__main__":
    main()
