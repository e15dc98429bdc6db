"""Source text of one-sided pairs: two cells that only step up, their weights and conductances, writing and refresh."""

from __future__ import annotations

from textwrap import indent

from neurosim.chip.layers import NetworkPlan
from neurosim.engine.cells import first_row

IMPORTS = """\
from neurosim.kernels.pairs import conductance_fired, conductance_fired_windows
from neurosim.kernels.pairs import conductance_row_windows, conductance_rows"""
RESET_LIMIT = 10_000
"""Pulses at most that empty one cell of a pair, or bring its difference back."""

CONDUCTANCE = """
@kernel
def cell_conductance(S, w):
    # of one cell, in units of g_max / 2^16
    place = min(max((w - S.pf[PF_CELL_LOW]) * S.pf[PF_CELL_PER_RANGE], 0.0), 1.0)
    floor = S.pf[PF_CELL_FLOOR]
    return np.int64((floor + (1.0 - floor) * place) * 65536.0 + 0.5) if S.pf[PF_CELL_PAIR] > 0.0 else np.int64(0)

"""


def loops(plan: NetworkPlan) -> str:
    """``row_of``, ``grow``, ``join_pairs``: where a weight stands, pulses on one cell of its pair, cells to weights."""
    lines = [f"if e < {layer.theta + layer.parameters}:\n    return {first_row(plan, layer.index)} + "
             f"(e - {layer.theta}) // {layer.columns}" for layer in plan.trainable]  # fmt: skip
    return f"""
@kernel
def row_of(e):
{indent(chr(10).join(lines), "    ")}
    return 0


@kernel
def grow(S, bank, e, c, up, number, noise, noise_key, first):
    # pulses on cell c of weight e; the weight and the row's conductance follow
    before = cell_conductance(S, S.cells[c])
    send(S, bank, c, up, number, noise, noise_key, first)
    S.row_conductance[row_of(e)] += cell_conductance(S, S.cells[c]) - before
    S.theta[e] = S.cells[e] - S.cells[SIZE + e]


@kernel
def join_pairs(S):
    # all weights and the conductances of all rows, from the cells
    S.row_conductance[:] = 0
    for e in range(SIZE):
        S.theta[e] = S.cells[e] - S.cells[SIZE + e]
        both = cell_conductance(S, S.cells[e]) + cell_conductance(S, S.cells[SIZE + e])
        S.row_conductance[row_of(e)] += both
"""


def program(bank: str, arguments: str, wanted: str) -> str:
    """``program`` of pairs: an up pulse grows one cell, a down pulse the other.

    ``arguments``: its arguments; ``wanted``: lines that make whole pulses of a wanted change.
    """
    return f"""
@kernel
def program(
{arguments}
):
    bank = {bank}
    noise = write_std * step_size
    most = 0
    for k in range(count):
        e = start + k
        units = change[k] / step_size
        if units == 0.0 and rounding != CARRY:
            continue
{indent(wanted, "        ")}
        c = e if up else SIZE + e
        if stuck(bank, c):
            continue
        grow(S, bank, e, c, True, number, noise, noise_key, 0)
        tally[0] += 1
        tally[1] += number
        most = max(most, number)
    return most
"""


def refresh(bank: str, plan: NetworkPlan, scheme: str) -> str:
    """``refresh_pairs``: full pairs are emptied, and the cell that was larger gets the difference back."""
    slots = {"cell": ("pulses", "reads"), "element": ("most", "most_reads")}.get(scheme, ("row_most", "row_reads"))
    rows = "\n".join(
        f"""\
    for row in range({layer.copies * (layer.rows + 1)}):
        start = {layer.theta} + row * {layer.columns}
        longest, longest_reads = 0, 1
        for e in range(start, start + {layer.columns}):
            sent, read = refresh_pair(S, bank, e, noise, noise_key, read_key)
            pulses += sent
            reads += read
            longest = max(longest, sent)
            longest_reads = max(longest_reads, read)
        row_most += longest
        row_reads += longest_reads
        most = max(most, longest)
        most_reads = max(most_reads, longest_reads)"""
        for layer in plan.trainable
    )
    return f"""
@kernel
def empty(S, bank, e, c, noise, noise_key, read_key):
    # down pulses until the cell is within a step of its lower bound, each followed by a read; how many
    sent = 0
    while S.cells[c] > S.w_min[c] + S.pf[PF_STEP_SIZE] and sent < RESET_LIMIT and not stuck(bank, c):
        grow(S, bank, e, c, False, 1, noise, noise_key, sent)
        sent += 1
        read_weight(S, bank, e, sub_key(read_key, sent))
    return sent


@kernel
def refresh_pair(S, bank, e, noise, noise_key, read_key):
    # pulses and reads that the refresh of one pair took
    difference = read_weight(S, bank, e, read_key)
    low, span = S.pf[PF_CELL_LOW], S.pf[PF_W_HIGH]
    plus, minus = value_of(S, bank, e) - low, value_of(S, bank, SIZE + e) - low
    if max(plus, minus) <= FULL * span or min(plus, minus) <= OTHER * span:
        return 0, 1
    S.tally[T_REFRESHED] += 1
    emptied = empty(S, bank, e, e, noise, noise_key, read_key)
    other = empty(S, bank, e, SIZE + e, noise, noise_key, read_key)
    c, sign, first = e, 1.0, emptied
    if difference < 0.0:
        c, sign, first = SIZE + e, -1.0, other
    sent = 0
    reads = 1 + emptied + other
    while sent < RESET_LIMIT and not stuck(bank, c):
        if sign * read_weight(S, bank, e, sub_key(read_key, RESET_LIMIT + sent)) >= abs(difference):
            reads += 1
            break
        grow(S, bank, e, c, True, 1, noise, noise_key, first + sent)
        sent += 1
        reads += 1
    return emptied + other + sent, reads


@kernel
def refresh_pairs(S):
    every = S.pi[PI_REFRESH_EVERY]
    S.ri[RI_WRITES] += 1
    if every == 0 or S.ri[RI_WRITES] % every != 0:
        return
    bank = {bank}
    noise = S.pf[PF_WRITE_STD] * S.pf[PF_STEP_SIZE]
    noise_key = stream_key(S.pi[PI_SEED], STREAM_WRITE_NOISE, S.ri[RI_MOMENT], 1, 0)
    read_key = sub_key(noise_key, 1 << 40)
    pulses, reads, row_most, row_reads, most, most_reads = 0, 0, 0, 0, 0, 0
{rows}
    S.tally[T_PULSES] += pulses
    S.tally[T_WRITE_SLOTS] += {slots[0]}
    S.tally[T_VERIFY_SLOTS] += {slots[1]}
"""
