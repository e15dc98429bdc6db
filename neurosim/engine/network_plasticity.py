"""Synapses of a hand-driven network that learn: their part of the kernel's memory and of its text.

A plastic connection is a group of its own (``chip.cores``). Its weights stand in the kernel's ``weight`` like all
others, but by postsynaptic neuron, then by presynaptic neuron (``kernels.stdp``), and its spikes are delivered by loops
that change weights on the way. Each block of neurons has the rows of its own neurons, and its own copy of the
presynaptic traces, so that threads share nothing; every bit is that of one thread.

A tick (``models.plasticity.base``): traces fall; spikes arrive, connection after connection in the order in which they
were made, after all synapses that do not learn; neurons advance and fire; their spikes change what leads to them.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from textwrap import indent
from typing import Any

import numpy as np
import numpy.typing as npt

from neurosim import registry
from neurosim.chip.cores import Wiring, offsets
from neurosim.chip.population import Network
from neurosim.kernels import stdp
from neurosim.spec.chip import Chip

Array = npt.NDArray[Any]

TABLE = (
    "RULE", "DELAY", "NEAREST", "SOURCE", "SOURCES", "TARGET", "TARGETS", "RECEPTOR", "X", "Y",
    "DENSE", "LOW", "HIGH", "AT", "END", "ROW", "OUT", "LIST",
)  # fmt: skip
"""Columns of ``plastic [connection, column]``. RULE: which of the rules in the kernel; NEAREST: how traces rise;
SOURCE, TARGET: the first neurons, and how many there are; X, Y: where traces begin. The others are a block's own:
DENSE: whether every pair has its synapse; LOW to HIGH - 1: the block's target neurons; AT to END - 1: their weights;
ROW, OUT, LIST: where ``row_first``, ``out_first`` and the lists of synapses begin (sparse)."""

ARGUMENTS = "plastic, trace_x, trace_y, rates, row_first, row_source, out_first, out_at, out_target, "
"""What the kernel takes besides; ``rates [connection, number]``: decays of x and y, then the rule's numbers."""

OWN = TABLE.index("DENSE")
"""Columns from here on are a block's own."""


@dataclass(eq=False)
class Plastic:
    """The memory of all plastic connections."""

    shared: npt.NDArray[np.int64]
    """``[connection, column]``, columns before ``OWN``."""
    groups: list[int]
    """Their groups in the wiring, in the same order."""
    rates: Array
    trace_x: Array
    """``[block, ...]``: each block's copy."""
    trace_y: Array
    tables: list[npt.NDArray[np.int64]] = field(default_factory=list)
    lists: list[tuple[Array, ...]] = field(default_factory=list)
    """By block, as ``tables``: the arrays from ``row_first`` on."""

    def arguments(self, block: int) -> tuple[Array, ...]:
        """What ``ARGUMENTS`` names, for one block."""
        return (self.tables[block], self.trace_x[block], self.trace_y, self.rates, *self.lists[block])

    def lay_out(self, bounds: list[int], starts: Array, ends: Array, source: Array, target: Array) -> None:
        """Tables and lists of every block: synapses of group g in block b are ``starts[b, g]`` to ``ends[b, g] - 1``.

        ``source``, ``target``: the two neurons of each synapse, in the order of the weights.
        """
        self.tables, self.lists = [], []
        for block in range(len(bounds) - 1):
            rows, parts = [], [_Lists()]
            for q, group in enumerate(self.groups):
                at, end = int(starts[block, group]), int(ends[block, group])
                shared = dict(zip(TABLE, self.shared[q], strict=False))
                first, size = shared["TARGET"], shared["TARGETS"]
                low, high = (min(max(bound - first, 0), size) for bound in bounds[block : block + 2])
                pre = (source[at:end] - np.uint32(shared["SOURCE"])).astype(np.uint32)
                post = (target[at:end] - np.uint32(first)).astype(np.uint32)
                dense = pre.size == shared["SOURCES"] * (high - low) and _every_pair(pre, post, low, shared["SOURCES"])
                own = _Lists() if dense else _Lists.of(pre, post, shared["SOURCES"], size)
                before = [sum(part.sizes[k] for part in parts) for k in range(3)]
                rows.append([*self.shared[q], dense, low, high, at, end, *before])
                parts.append(own)
            self.tables.append(np.array(rows, np.int64))
            arrays = zip(*(part.arrays for part in parts), strict=True)
            self.lists.append(tuple(np.concatenate(each) for each in arrays))


@dataclass(frozen=True, eq=False)
class _Lists:
    """Synapses of one sparse connection in one block, by either neuron (``kernels.stdp``)."""

    arrays: tuple[Array, ...] = (
        np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint64), np.zeros(0, np.uint32),
        np.zeros(0, np.uint32),
    )  # fmt: skip

    @classmethod
    def of(cls, pre: Array, post: Array, sources: int, targets: int) -> _Lists:
        """From synapses by postsynaptic, then by presynaptic neuron."""
        row_first, out_first = (
            np.concatenate([[0], np.cumsum(np.bincount(each, minlength=size))]).astype(np.uint64)
            for each, size in ((post, targets), (pre, sources))
        )
        out_at = np.argsort(pre, kind="stable").astype(np.uint32)
        return cls((row_first, pre, out_first, out_at, post[out_at]))

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Entries of ``row_first``, ``out_first`` and the lists of synapses."""
        return self.arrays[0].size, self.arrays[2].size, self.arrays[1].size


def _every_pair(pre: Array, post: Array, low: int, sources: int) -> bool:
    """Whether synapse k leads from neuron k mod ``sources`` to neuron ``low`` + k div ``sources``."""
    rows, columns = np.divmod(np.arange(pre.size), max(sources, 1))
    return bool((pre == columns).all() and (post == low + rows).all())


def rules_of(network: Network) -> tuple[str, ...]:
    """Names of the rules that occur, sorted."""
    return tuple(sorted({each.plasticity.model for each in network.connections if each.plasticity is not None}))


def build(network: Network, wiring: Wiring, tick_s: float, dtype: str, blocks: int) -> Plastic | None:
    """Memory before the first tick, no spike remembered; None where nothing learns."""
    rules, at = rules_of(network), offsets(network)
    rows, numbers, groups, x, y = [], [], [], 0, 0
    for g, group in enumerate(wiring.groups):
        if group.plastic < 0:
            continue
        each = network.connections[group.plastic]
        assert each.plasticity is not None
        source, target = each.source, each.target
        rows.append([
            rules.index(each.plasticity.model), group.delay_ticks, each.plasticity.pairing == "nearest",
            at[source.name], source.size, at[target.name], target.size, each.receptor, x, y,
        ])  # fmt: skip
        numbers.append([*each.plasticity.decays(tick_s), *each.plasticity.coefficients(tick_s)])
        groups.append(g)
        x, y = x + source.size, y + target.size
    if not rows:
        return None
    rates = np.zeros((len(rows), max(len(each) for each in numbers)))
    for q, each_numbers in enumerate(numbers):
        rates[q, : len(each_numbers)] = each_numbers
    return Plastic(
        np.array(rows, np.int64), groups, (rates + 0.0).astype(dtype), np.zeros((blocks, x), dtype), np.zeros(y, dtype)
    )


def problems(network: Network, chip: Chip, timing: str) -> list[str]:
    """What keeps synapses from learning on a chip."""
    learning = [each for each in network.connections if each.plasticity is not None]
    if not learning:
        return []
    where, found = learning[0].name, []
    device = chip.synapse.device.model
    if not getattr(registry.find("device", device).module, "EXACT", False):
        found.append(
            f"{where} learns: weights of {chip.name} are of the device {device!r}, and spikes change ideal ones only; "
            "use ideal=True"
        )
    if chip.synapse.stuck_fraction > 0.0 or any(fault.dead_synapse_fraction > 0.0 for fault in chip.faults):
        found.append(f"{where} learns: stuck or dead synapses are for weights that stay; leave them out")
    if chip.synapse.read_noise_std > 0.0:
        found.append(f"{where} learns: chip.synapse.read_noise_std is for weights that stay; use ideal=True")
    if chip.timing.tick_s == 0.0 and timing != "clocked":
        found.append(f"{where} learns: chip.timing.tick_s = 0, but traces need the length of a tick")
    return found


# the kernel's text

LOOPS = ("arrive_dense", "fire_dense", "arrive_sparse", "fire_sparse")


def modules(rules: Sequence[str]) -> tuple[str, ...]:
    """Modules that the text depends on."""
    names = (registry.find("plasticity", rule).module_name for rule in rules)
    return ("neurosim.kernels.stdp", *names) if rules else ()


def definitions(rules: Sequence[str]) -> list[str]:
    """What stands before the kernel: for each rule its equations and the loops over them."""
    if not rules:
        return []
    lines = ["from neurosim.kernels.stdp import fade, note, pick", "_1 = np.uint64(1)"]
    lines += [f"Q_{name} = {k}" for k, name in enumerate(TABLE)]
    for r, rule in enumerate(rules):
        lines.append(f"import {registry.find('plasticity', rule).module_name} as _rule_{r}")
        lines += [f"{hook}_{r} = kernel(_rule_{r}.{hook})" for hook in ("on_pre", "on_post")]
        names = "|".join(("on_pre", "on_post", *LOOPS))
        for name in LOOPS:
            text = inspect.getsource(getattr(stdp, name).py_func)
            lines.append(re.sub(rf"\b({names})\(", rf"\1_{r}(", text))
    return lines


def prologue(rules: Sequence[str]) -> str:
    """What stands before the loop over ticks."""
    return "\n    learners = np.zeros(F.shape[1], np.uint32)" if rules else ""


def arrivals(rules: Sequence[str]) -> str:
    """The start of a tick: traces fall, spikes arrive over plastic synapses and change them."""
    return _ARRIVALS.format(rules=indent(_branches(rules, _ARRIVE), "    ")) if rules else ""


def changes(rules: Sequence[str]) -> str:
    """The end of a tick: spikes of this tick change the synapses that lead to their neurons."""
    return _CHANGES.format(rules=indent(_branches(rules, _FIRE), "    ")) if rules else ""


def _branches(rules: Sequence[str], work: str) -> str:
    """One branch for each rule, with its numbers in the tuple ``c``."""
    lines = []
    for r, rule in enumerate(rules):
        module = registry.find("plasticity", rule).module
        numbers = module.on_pre.__code__.co_argcount - 3
        c = "".join(f"rates[q, {2 + m}], " for m in range(numbers))
        branch = f"c = ({c})\n{work.format(r=r)}"
        lines += [f"{'el' if r else ''}if plastic[q, Q_RULE] == {r}:", indent(branch, "    ")]
    return "\n".join(lines)


_MINE = """
    x = trace_x[plastic[q, Q_X] : plastic[q, Q_X] + plastic[q, Q_SOURCES]]
    y = trace_y[plastic[q, Q_Y] : plastic[q, Q_Y] + plastic[q, Q_TARGETS]]
    held = weight[plastic[q, Q_AT] : plastic[q, Q_END]]
    low_j, high_j = plastic[q, Q_LOW], plastic[q, Q_HIGH]"""

_LISTS = """\
    row = plastic[q, Q_ROW]
    out = plastic[q, Q_OUT]
    lists = slice(plastic[q, Q_LIST], plastic[q, Q_LIST] + held.size)"""

_ARRIVALS = f"""
for q in range(plastic.shape[0]):{_MINE}
    fade(x, rates[q, 0])
    fade(y[low_j:high_j], rates[q, 1])
    arrived, since = 0, done - plastic[q, Q_DELAY]
    for b in range(blocks if since >= 0 else 1):
        came, k_low, k_high = past, past_first[delays + min(since, -1)], past_first[delays + min(since, -1) + 1]
        if since >= 0:
            came, k_low, k_high = all_spikes[b], all_first[b, since], all_first[b, since + 1]
        arrived = pick(came, k_low, k_high, plastic[q, Q_SOURCE], plastic[q, Q_SOURCES], learners, arrived)
    onto = F[CURRENT + plastic[q, Q_RECEPTOR], plastic[q, Q_TARGET] : plastic[q, Q_TARGET] + plastic[q, Q_TARGETS]]
{{rules}}
    note(x, learners, arrived, plastic[q, Q_NEAREST] == 1)"""

_ARRIVE = f"""\
if plastic[q, Q_DENSE] == 1:
    arrive_dense_{{r}}(learners, arrived, plastic[q, Q_SOURCES], low_j, high_j, held, x, y, onto, c)
else:
{_LISTS}
    arrive_sparse_{{r}}(learners, arrived, out_first[out:], out_at[lists], out_target[lists], held, x, y, onto, c)"""

_CHANGES = f"""
for q in range(plastic.shape[0]):{_MINE}
    own = pick(spikes, tick_first[done], count, plastic[q, Q_TARGET], plastic[q, Q_TARGETS], learners, 0)
{{rules}}
    note(y, learners, own, plastic[q, Q_NEAREST] == 1)"""

_FIRE = f"""\
if plastic[q, Q_DENSE] == 1:
    fire_dense_{{r}}(learners, own, plastic[q, Q_SOURCES], low_j, held, x, y, c)
else:
{_LISTS}
    fire_sparse_{{r}}(learners, own, row_first[row:], row_source[lists], held, x, y, c)"""
