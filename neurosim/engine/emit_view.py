"""Source text of what time does to a run's devices, and of what reads see of them.

``S.theta`` is what every device was left with by its last write. Where a law of time or an effect of the array stands
between that and a read, forwards read ``S.seen`` instead, the *view*: ``seen_e = aged(theta_e, now - since_e)``, then
what the array makes of it. It is renewed by the first read after a device was written or time has passed. Noise of
single reads is not in it: its variance stands in ``S.read_variance``, and a forward adds one normal to each column.

Time passes at the end of a step (phase *elapse*), by the femtoseconds that the step's tallies come to
(``neurosim.chip.clock``), so it depends neither on bursts nor on where a run was stopped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import indent

from neurosim.chip.layers import NetworkPlan
from neurosim.chip.mapper import Placement
from neurosim.engine import emit_array, emit_devices
from neurosim.engine.device_laws import Laws, laws
from neurosim.engine.emit_array import Edges
from neurosim.models.devices import base
from neurosim.models.devices.base import DeviceParameters
from neurosim.spec.scenario import Scenario


@dataclass(frozen=True)
class View:
    """What stands between what the devices hold and what a forward reads."""

    laws: Laws = field(default_factory=Laws)
    array: str = ""
    """Source of ``array_view(S)``, which changes ``S.seen`` in place; empty where the array is perfect."""
    paired: bool = False
    """A weight is the difference of two cells, each with a law of its own (``neurosim.engine.cells``)."""
    edges: Edges = field(default_factory=Edges)
    """Noise of rows and columns, converters of slices."""

    @property
    def reads(self) -> str:
        """The array that forwards read."""
        return "seen" if self.laws.ages or self.array else "theta"

    @property
    def cells(self) -> str:
        """The array of what is stored, cell by cell."""
        return "cells" if self.paired else "theta"

    @property
    def noisy(self) -> bool:
        """Whether forwards add the noise of single reads, from ``S.read_variance``."""
        return self.laws.noisy

    @property
    def renewed(self) -> bool:
        """Whether there is something to renew before a read."""
        return self.reads == "seen" or self.noisy

    @property
    def acts(self) -> bool:
        """Whether there is anything between the two."""
        return self.laws.any or bool(self.array)

    @property
    def first(self) -> list[str]:
        """The line that every inference begins with."""
        return ["renew_view(S)"] if self.renewed else []

    def mark(self, spaces: int) -> str:
        """The line that follows every write, indented by ``spaces``: 1 renews what was written, 2 everything."""
        return f"\n{' ' * spaces}S.ri[RI_VIEW_STALE] = max(S.ri[RI_VIEW_STALE], 1)" if self.renewed else ""


def of(scenario: Scenario, plan: NetworkPlan, placement: Placement) -> View:
    """The view of a run."""
    device = scenario.chip.synapse.device
    assert isinstance(device, DeviceParameters)
    paired = scenario.chip.synapse.pair == "one-sided"
    edges = emit_array.edges(scenario, placement)
    return View(laws(device), emit_array.view(scenario, plan, placement), paired, edges)


def bank(parameters: DeviceParameters) -> str:
    """Text of the ``Bank`` that the functions of `emit_devices.equations` take, in a run's memory."""
    own = base.fabricate(parameters, 1, 0).names
    count = len(emit_devices.equations(parameters, own).numbers) + 1
    given = ", ".join(f"S.device_numbers[{k}]" for k in range(count))
    return f"Bank(S.scale_up, S.scale_down, S.w_min, S.w_max, S.device_own, ({given},), S.device_table)"


def modules(view: View) -> tuple[str, ...]:
    """Modules of loops that only such a run needs."""
    own = ("neurosim.kernels.column_noise",) if view.noisy else ()
    return (*own, *emit_array.modules(view.edges, view.array))


def source(view: View, parameters: DeviceParameters, *, pipelined: bool) -> str:
    """``now_s``, ``renew_view`` and ``elapse``, as far as the run needs them."""
    parts = [view.array]
    if view.laws.clocked:
        parts += [_CLOCK, _pass_time(pipelined), _elapse(view, parameters)]
    if view.renewed:
        parts.append(_renew(view, parameters))
    return "\n".join(part for part in parts if part)


_CLOCK = """
@kernel
def now_s(S):
    # the chip's time at the end of the last step
    return S.ri[RI_NOW_S] + 1e-15 * S.ri[RI_NOW_FS]
"""


def _renew(view: View, parameters: DeviceParameters) -> str:
    lines: list[str] = []
    if view.laws.dated:
        due = "S.ri[RI_VIEW_STALE] == 2 or now - S.rf[RF_VIEWED_S] >= S.pf[PF_ELAPSE_PERIOD_S]"
        lines += [
            "now = now_s(S)",
            "before = S.rf[RF_RENEWED_S]",
            "S.rf[RF_RENEWED_S] = now",
            f"everything = {'True' if view.array else due}",
            "if everything:",
            "    S.rf[RF_VIEWED_S] = now",
        ]
    lines += ["S.ri[RI_VIEW_STALE] = 0", "S.ri[RI_CURRENTS_STALE] = 1"]
    if view.laws.any:
        given = ", ".join(f"S.{name}" for name in _viewed(view))
        more = ", now, before, everything" if view.laws.dated else ""
        lines += [f"bank = {bank(parameters)}", f"renew_cells({given}{more}, bank)"]
    else:
        lines.append("copy(S.theta, S.seen)")
    if view.array:
        lines.append("array_view(S)")
    return (
        (_cells(view) if view.laws.any else "")
        + f"""
@kernel
def renew_view(S):
    # what reads see, once a device was written or time has passed
    if S.ri[RI_VIEW_STALE] == 0:
        return
{indent(chr(10).join(lines), "    ")}


@kernel(cache=True)
def look(S):
    # for whoever wants to know what reads see now
    renew_view(S)
"""
    )


def _viewed(view: View) -> list[str]:
    """The arrays that `renew_cells` works on."""
    return [
        view.cells,
        *(["since"] if view.laws.dated else []),
        *(["seen"] if view.reads == "seen" else []),
        *(["read_variance"] if view.noisy else []),
    ]


def _cells(view: View) -> str:
    """``renew_cells``: what each weight shows now, and the variance of one read of it.

    One loop over arrays that it gets as arguments: an inner function that takes the whole memory and a bank costs
    fifteen times as much, in reference counts.
    """
    cells = ("e", "SIZE + e") if view.paired else ("e",)
    held = view.cells
    lines = ["for e in range(SIZE):"]
    if view.laws.dated:
        new = " or ".join(f"since[{c}] >= before" for c in cells)
        lines += [f"    if not (everything or {new}):", "        continue  # neither written nor due"]
    for k, c in enumerate(cells):
        age = f"now - since[{c}]" if view.laws.dated else "0.0"
        lines += [f"    held_{k} = {held}[{c}]",
                  f"    stuck_{k} = (bank.scale_up[{c}] == 0.0) & (bank.scale_down[{c}] == 0.0)"]  # fmt: skip
        now = f"held_{k} if stuck_{k} else after(held_{k}, {age}, {c}, bank)" if view.laws.ages else f"held_{k}"
        lines.append(f"    seen_{k} = {now}")
        if view.noisy:
            quiet = f"stuck_{k} and held_{k} == 0.0"  # a dead synapse
            lines.append(f"    std_{k} = 0.0 if {quiet} else read_std(seen_{k}, held_{k}, {age}, {c}, bank)")
    if view.reads == "seen":
        lines.append(f"    seen[e] = {' - '.join(f'seen_{k}' for k in range(len(cells)))}")
    if view.noisy:
        lines.append(f"    read_variance[e] = {' + '.join(f'std_{k} * std_{k}' for k in range(len(cells)))}")
    more = ", now, before, everything" if view.laws.dated else ""
    return f"""
@kernel
def renew_cells({", ".join(_viewed(view))}{more}, bank):
    # what is stuck does not age
{indent(chr(10).join(lines), "    ")}


"""


def _pass_time(pipelined: bool) -> str:
    fs = """\
    fs = busy"""
    if pipelined:
        fs = """\
    # what hides behind the perturbation period costs time only once all of it together is longer
    lead = S.clocked[TALLIES]
    ahead = max(lead + busy - period, np.int64(-(1 << 62)))
    S.clocked[TALLIES] = ahead
    fs = period + max(ahead, np.int64(0)) - max(lead, np.int64(0))"""
    return f"""
@kernel
def pass_time(S):
    # the chip's clock goes on by what was tallied since it last did
    busy, writing, period = np.int64(0), np.int64(0), np.int64(0)
    busy_part, writing_part = 0.0, 0.0
    for k in range(TALLIES):
        new = S.tally[k] - S.clocked[k]
        if new != 0:
            S.clocked[k] = S.tally[k]
            busy += new * S.clock_rates[0, k]
            writing += new * S.clock_rates[1, k]
            period += new * S.clock_rates[2, k]
            busy_part += new * S.clock_parts[0, k]
            writing_part += new * S.clock_parts[1, k]
    busy += np.int64(busy_part + 0.5)
{fs}
    fs += S.ri[RI_NOW_FS] + writing + np.int64(writing_part + 0.5)
    S.ri[RI_NOW_S] += fs // 1000000000000000
    S.ri[RI_NOW_FS] = fs % 1000000000000000
"""


def _elapse(view: View, parameters: DeviceParameters) -> str:
    """``elapse``: phase 11. Ageing follows from the clock; chance acts here."""
    stale = "S.ri[RI_VIEW_STALE] = max(S.ri[RI_VIEW_STALE], 1)"
    renew = f"""\
    if now - S.rf[RF_VIEWED_S] >= S.pf[PF_ELAPSE_PERIOD_S]:
        {stale}
""" if view.renewed and view.laws.dated else ""  # fmt: skip
    stored = ", ".join(f"S.{name}" for name in _walked(view, parameters))
    walk = f"""\
    dt_s = now - S.rf[RF_ELAPSED_S]
    if dt_s > 0.0 and dt_s >= S.pf[PF_ELAPSE_PERIOD_S]:
        S.rf[RF_ELAPSED_S] = now
        S.ri[RI_ELAPSES] += 1
        key = stream_key(S.pi[PI_SEED], STREAM_ELAPSE, S.ri[RI_ELAPSES], 0, 0)
        bank = {bank(parameters)}
        walk({stored}, now, dt_s, key, bank)
        S.ri[RI_CURRENTS_STALE] = 1{view.mark(8).replace(", 1)", ", 2)")}
{"        join_pairs(S)" if view.paired else ""}
""" if view.laws.wanders else ""  # fmt: skip
    return (
        (_walk(view, parameters) if view.laws.wanders else "")
        + f"""
@kernel
def elapse(S):
    # phase 11: what the step took passes for the devices
    pass_time(S)
    now = now_s(S)
{renew}{walk}"""
    )


def _walked(view: View, parameters: DeviceParameters) -> list[str]:
    """The arrays that `walk` works on."""
    return [
        view.cells,
        *(["device_hidden"] if emit_devices.write_noise(parameters) == 2 else []),
        *(["since"] if view.laws.dated else []),
    ]


def _walk(view: View, parameters: DeviceParameters) -> str:
    """``walk``: what chance makes of every cell; where ageing is memoryless, later chance ages from its own time on."""
    apparent = emit_devices.write_noise(parameters) == 2
    stored = "device_hidden[c]" if apparent else f"{view.cells}[c]"
    lines = [
        f"for c in range({'CELLS' if view.paired else 'SIZE'}):",
        "    if (bank.scale_up[c] == 0.0) & (bank.scale_down[c] == 0.0):",
        "        continue",
        f"    w = {stored}",
    ]
    if view.laws.ages and view.laws.memoryless:
        lines += [
            "    left = after(w, now - since[c], c, bank)",
            "    if w == 0.0 or abs(left - w) > abs(w) * FORGOTTEN:  # less would be lost in rounding",
            "        w = left",
            *([f"        {view.cells}[c] = after({view.cells}[c], now - since[c], c, bank)"] if apparent else []),
            "        since[c] = now",
        ]
    lines.append("    walked = min(max(wander(w, dt_s, c, key, bank), bank.w_min[c]), bank.w_max[c])")
    if apparent:
        lines.append(f"    {view.cells}[c] += walked - w")
    lines.append(f"    {stored} = walked")
    head = "from neurosim.kernels.devices import FORGOTTEN\n\n" if view.laws.ages and view.laws.memoryless else ""
    return f"""
{head}
@kernel
def walk({", ".join(_walked(view, parameters))}, now, dt_s, key, bank):
{indent(chr(10).join(lines), "    ")}


"""
