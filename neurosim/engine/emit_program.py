"""Source text of ``program``: what happens to devices when weights are written.

One loop over devices, put together from the pieces that a run needs: a plain device's step or a model's own, ageing,
pulses counted for each cell and lifetimes, writing with verification, and pairs of cells that only step up
(``neurosim.engine.cells``).
"""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from textwrap import indent

from neurosim import registry
from neurosim.chip.layers import NetworkPlan
from neurosim.engine import emit_devices, emit_pairs, emit_view
from neurosim.engine.cells import Programming
from neurosim.engine.device_laws import Laws, laws
from neurosim.kernels import devices as loops
from neurosim.models.devices import base
from neurosim.models.devices.base import DeviceParameters
from neurosim.spec.scenario import Scenario
from neurosim.training.base import Trainer


def program(scenario: Scenario, plan: NetworkPlan) -> tuple[str, tuple[str, ...]]:
    """``program`` (and ``after_write``, where something follows a write) as source text, and the modules it needs."""
    parameters = scenario.chip.synapse.device
    assert isinstance(parameters, DeviceParameters)
    does, noise = Programming.of(scenario), emit_devices.write_noise(parameters)
    make = Programs(does, emit_devices.is_plain(parameters), noise == 2, laws(parameters))
    if make.plain and not does.any:
        return make.open_loop(""), ()
    own = tuple(base.fabricate(parameters, 1, 0).names)
    made = emit_devices.equations(parameters, own, "bank.own[{k} * CELLS + e]")
    bank, scheme = emit_view.bank(parameters), write_scheme(scenario)
    module = registry.find("device", parameters.model).module
    unseen = emit_pairs.program(bank, _STATEFUL, _WANTED) if does.paired else make.open_loop(bank)
    parts = [
        f"""
from neurosim.kernels.devices import Bank, FULL, OTHER, correction
{emit_pairs.IMPORTS if does.paired else ""}
CELLS = {does.cells} * SIZE
NOISY = {hasattr(module, "spread") or parameters.dw_min_std > 0.0}
JUMPS = {hasattr(module, "jump")}
WRITE_NOISE = {noise}
RESET_LIMIT = {emit_pairs.RESET_LIMIT}
""",
        made.source,
        inspect.getsource(loops.pulsed.py_func),
        make.send() if does.verifies or does.paired else "",
        emit_pairs.loops(plan) if does.paired else "",
        _look(does, make.acting) if does.verifies or does.paired else "",
        _verified(bank, does) if does.verifies else unseen,
        emit_pairs.refresh(bank, plan, scheme) if does.paired else "",
        _after_write(scheme, does) if does.verifies or does.paired else "",
    ]
    modules = (emit_devices.MODULE, *(("neurosim.kernels.pairs",) if does.paired else ()))
    return "\n\n".join(part for part in parts if part), modules


def write_scheme(scenario: Scenario) -> str:
    """How many devices one pulse reaches in this run."""
    trainer = scenario.training
    assert isinstance(trainer, Trainer)
    return trainer.write_scheme or scenario.chip.synapse.write_scheme


def after_write(scenario: Scenario) -> str:
    """The line at the end of every write."""
    does = Programming.of(scenario)
    return "after_write(S)" if does.verifies or does.paired else ""


def called_with_state(source: str) -> str:
    """A composed source whose calls of ``program`` hand on the run's memory."""
    return re.sub(r"\bprogram\((\s*)S\.theta,", r"program(\1S, S.theta,", source)


_ARGUMENTS = """\
    theta, start, change, count, scale_up, scale_down, w_min, w_max, residual, step_size, cycle_std, write_std,
    rounding, limit, rounding_key, noise_key, tally,"""
_STATEFUL = _ARGUMENTS.replace("theta", "S, theta", 1)

_WANTED = """\
pulses = whole_pulses(units, rounding, residual, e, rounding_key)
if pulses == 0:
    continue
up = pulses > 0
number = min(abs(pulses), limit)
if rounding == CARRY:
    residual[e] += (abs(pulses) - number) * (1.0 if up else -1.0)"""
"""What a wanted change of ``units`` steps becomes: whole pulses, at most ``limit``; with carry, what is left waits."""

_PLAIN = """\
dw = device_step(w, up, {b}scale_up[{c}], {b}scale_down[{c}], {b}w_min[{c}], {b}w_max[{c}])
if cycle_std > 0.0:
    dw *= 1.0 + cycle_std * normal(noise_key, {c} + 2 * p * {size})
if write_std > 0.0 and dw != 0.0:
    dw += write_std * step_size * normal(noise_key, {c} + (2 * p + 1) * {size})
w = min(max(w + dw, {b}w_min[{c}]), {b}w_max[{c}])"""
"""One pulse of a plain device: ``dw = step(w) (1 + cycle_std xi) + write_std dw_min xi'``, within its bounds."""

_OWN = """\
key, write_key = sub_key(noise_key, 2 * p), sub_key(noise_key, 2 * p + 1)
w = S.theta.dtype.type(pulsed(w, up, {c}, key, noise, write_key, bank))"""
"""One pulse of a device with a step of its own."""


@dataclass(frozen=True)
class Programs:
    """Pulses as text that stands in the loops: called as functions they take twice as long.

    n pulses are n steps, one after another, each with its own noise. Counting and lifetimes change no bit of a weight.
    """

    does: Programming
    plain: bool
    hidden: bool
    """What is stored is not what is shown: write noise is apparent."""
    acting: Laws

    def _taken(self, c: str, held: str) -> list[str]:
        """``w``: what cell c stores now."""
        lines = [f"w = {f'S.device_hidden[{c}]' if self.hidden else held}"]
        if self.acting.ages:
            lines.append(f"w = S.theta.dtype.type(after(w, now_s(S) - S.since[{c}], {c}, bank))")
        if self.acting.dated:
            lines.append(f"S.since[{c}] = now_s(S)")
        return lines

    def _pulse(self, c: str, bank: str, size: str) -> list[str]:
        return (_PLAIN if self.plain else _OWN).format(c=c, b=bank, size=size).splitlines()

    def _left(self, c: str, held: str, first: str) -> list[str]:
        """Cell c holds ``w`` from now on, and has had ``number`` pulses more."""
        lines = [f"{held} = w"]
        if self.hidden:
            lines = [f"S.device_hidden[{c}] = w",
                     f"{held} = w + noise * normal(sub_key(noise_key, 2 * {first} + 1), {c})"]  # fmt: skip
        if self.does.counts:
            lines.append(f"S.pulses_each[{c}] += np.uint32(number)")
        if self.does.wears:
            lines += [f"if S.pulses_each[{c}] >= S.lifetime[{c}]:  # worn out: it takes no more steps",
                      f"    S.scale_up[{c}] = 0.0", f"    S.scale_down[{c}] = 0.0"]  # fmt: skip
        return lines

    def open_loop(self, bank: str) -> str:
        """``program``: the pulses that a wanted change becomes, sent unseen; ``bank``: needed for steps of its own."""
        head = ["bank = " + bank, "noise = write_std * step_size"] if bank else []
        pulse = [f"    {line}" for line in self._pulse("e", "", "size")]
        lines = [*_WANTED.splitlines(), *self._taken("e", "theta[e]"), "for p in range(number):", *pulse,
                 *self._left("e", "theta[e]", "0")]  # fmt: skip
        return f"""
@kernel
def program(
{_STATEFUL if bank else _ARGUMENTS}
):
{indent(chr(10).join([*head, "size = theta.shape[0]"]), "    ")}
    most = 0
    for k in range(count):
        e = start + k
        units = change[k] / step_size
        if (units == 0.0 and rounding != CARRY) or (scale_up[e] == 0.0 and scale_down[e] == 0.0):
            continue  # nothing wanted, or a stuck device
{indent(chr(10).join(lines), "        ")}
        tally[0] += 1
        tally[1] += number
        most = max(most, number)
    return most
"""

    def send(self) -> str:
        """``send``: ``number`` pulses on cell c; ``first``: those it has had in this write."""
        held = "S.cells[c]" if self.does.paired else "S.theta[c]"
        lines = self._taken("c", held)
        if self.plain:
            lines += [f"{name} = S.pf[PF_{name.upper()}]" for name in ("step_size", "cycle_std", "write_std")]
        pulse = self._pulse("c", "bank.", "CELLS")
        if self.does.paired:
            lines.append("before = cell_conductance(S, w)")
            pulse += ["now = cell_conductance(S, w)", "S.tally[T_PULSE_CONDUCTANCE] += (before + now + 1) // 2",
                      "before = now"]  # fmt: skip
        lines += ["for p in range(first, first + number):", *(f"    {line}" for line in pulse)]
        lines += self._left("c", held, "first")
        return f"""{emit_pairs.CONDUCTANCE if self.does.paired else ""}
@kernel
def send(S, bank, c, up, number, noise, noise_key, first):
{indent(chr(10).join(lines), "    ")}


@kernel
def stuck(bank, c):
    return bank.scale_up[c] == 0.0 and bank.scale_down[c] == 0.0
"""


def _look(does: Programming, acting: Laws) -> str:
    """``value_of``, what a cell shows now, and ``read_weight``: one read of one weight with all noise of reads."""
    held = "S.cells" if does.paired else "S.theta"
    cells = ("e", "SIZE + e") if does.paired else ("e",)
    age = "now_s(S) - S.since[c]" if acting.dated else "0.0"
    lines = ["variance = S.pf[PF_READ_NOISE] * S.pf[PF_READ_NOISE]"]
    for k, c in enumerate(cells):
        lines.append(f"value_{k} = value_of(S, bank, {c})")
        if acting.noisy:
            lines += [f"std_{k} = read_std(value_{k}, {held}[{c}], {age.replace('[c]', f'[{c}]')}, {c}, bank)",
                      f"variance += std_{k} * std_{k}"]  # fmt: skip
    lines.append("S.tally[T_VERIFY_READS] += 1")
    if does.paired:
        lines.append("S.tally[T_VERIFY_CONDUCTANCE] += cell_conductance(S, value_0) + cell_conductance(S, value_1)")
    lines += [
        f"seen = {' - '.join(f'value_{k}' for k in range(len(cells)))}",
        "if variance > 0.0:",
        "    seen += math.sqrt(variance) * normal(key, e)",
        "return float(seen)",
    ]
    return f"""
@kernel
def value_of(S, bank, c):
    return {f"after({held}[c], {age}, c, bank) if not stuck(bank, c) else {held}[c]" if acting.ages else f"{held}[c]"}


@kernel
def read_weight(S, bank, e, key):
{indent(chr(10).join(lines), "    ")}
"""


def _verified(bank: str, does: Programming) -> str:
    """``program`` with verification: rounds over the devices of a row, each read and pulsed until it fits."""
    known = "" if does.paired else " or stuck(bank, e)"  # which of two cells is asked follows from the error
    send = "grow(S, bank, e, c, True, number" if does.paired else "send(S, bank, c, up, number"
    return f"""
@kernel
def program(
{_STATEFUL}
):
    # the wanted change becomes whole grains, and the device aims at what it shows and these
    bank = {bank}
    noise = write_std * step_size
    read_key = sub_key(noise_key, 1 << 40)
    key = sub_key(read_key, 0)
    grain = S.pf[PF_VERIFY_GRAIN]
    reads, rounds, slots = 0, 0, 0
    for k in range(count):
        e = start + k
        S.verify_sent[k] = -1
        units = change[k] / grain
        if (units == 0.0 and rounding != CARRY){known}:
            continue
{indent(_WANTED, "        ")}
        S.verify_seen[k] = read_weight(S, bank, e, key)
        wanted = S.verify_seen[k] + (number if up else -number) * grain
        S.verify_target[k] = min(max(wanted, S.pf[PF_W_LOW]), S.pf[PF_W_HIGH])
        S.verify_sent[k] = 0
        reads += 1
    rounds += reads > 0
    last = S.pi[PI_VERIFY_LIMIT]
    for turn in range(last + 1):
        key = sub_key(read_key, turn + 1)
        longest = 0
        for k in range(count):
            sent = S.verify_sent[k]
            if sent < 0:
                continue
            e = start + k
            pulses = correction(S.verify_target[k] - S.verify_seen[k], S.pf[PF_VERIFY_TOLERANCE], step_size)
            S.verify_sent[k] = -1
            if pulses == 0:
                continue
            if turn == last:
                S.tally[T_MISSED] += 1
                continue
            up = pulses > 0
            number = abs(pulses)
            c = {"e if up else SIZE + e" if does.paired else "e"}
            if stuck(bank, c):
                S.tally[T_MISSED] += 1
                continue
            {send}, noise, noise_key, sent)
            S.verify_seen[k] = read_weight(S, bank, e, key)
            S.verify_sent[k] = sent + number
            reads += 1
            tally[0] += sent == 0
            tally[1] += number
            longest = max(longest, number)
        if longest == 0:
            break
        slots += longest
        rounds += 1
    tally[2] += rounds
    tally[3] = max(tally[3], rounds)
    tally[4] += reads
    return slots
"""


def _after_write(scheme: str, does: Programming) -> str:
    """``after_write``: read slots of a verified write, by the write scheme, and the refresh of pairs that is due."""
    where = {"cell": 4, "element": 3}.get(scheme, 2)
    lines = []
    if does.verifies:
        lines += [f"S.tally[T_VERIFY_SLOTS] += S.pulse_tally[{where}]",
                  *(f"S.pulse_tally[{k}] = 0" for k in (2, 3, 4))]  # fmt: skip
    if does.paired:
        lines.append("refresh_pairs(S)")
    return f"""
@kernel
def after_write(S):
{indent(chr(10).join(lines), "    ")}
"""
