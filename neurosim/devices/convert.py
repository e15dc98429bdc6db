"""Device parameters of other simulators, carried over: the same mean step at every weight, and a list of what is lost.

``aihwkit``: a device's fields, as JSON or TOML (``class`` names it) or as the text that Python prints for it,
``ExpStepDevice(dw_min=0.00135, ...)``; fields that are not there have aihwkit's defaults. Weights stay as they are.

``neurosim``: the family of tools of that name by S. Yu's group (no relation): ``Gmax``, ``Gmin`` (S), ``P_LTP``,
``P_LTD`` (pulses), ``A_LTP``, ``A_LTD`` (over the number of pulses) or the labels ``NL_LTP``, ``NL_LTD``, ``sigma_c2c``
(of the range), ``V_LTP``, ``t_LTP``, ``V_LTD``, ``t_LTD``. With B = (Gmax - Gmin) / (1 - e^(-1/A)) an up pulse is

    G <- G + (Gmin + B - G) (1 - e^(-1/(A P))),        a down pulse   G <- G - (G - Gmax + B) (1 - e^(-1/(A P))),

which is a linear step between hard bounds; w = -1 is Gmin and w = 1 is Gmax.

``crosssim``: version 2's ``ANALYTIC`` updates (``alpha``, and ``pulse``: the part of the range that one pulse asks
for), its look-up tables of dG(G, CDF) (``G``, ``CDF``, ``up``, ``down``), or version 3's cells (``cell_bits``).

Source: the three tools' documentation and published parameters; none of their code.
"""

from __future__ import annotations

import ast
import json
import math
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neurosim import models, registry
from neurosim.devices.presets import Preset, validated
from neurosim.errors import InputError

Table = dict[str, Any]


@dataclass(frozen=True)
class Converted:
    """A preset, and what the original said that it does not."""

    preset: Preset
    dropped: list[str]


def convert(table: Mapping[str, Any], origin: str, name: str) -> Converted:
    """The preset of another simulator's parameters; raises InputError with every problem."""
    models.load_builtin()
    if origin not in ORIGINS:
        raise InputError(registry.unknown(origin, sorted(ORIGINS), "origin"))
    given = dict(table)
    made, dropped = ORIGINS[origin](given)
    source = str(given.get("source", f"converted from a parameter set of {origin}"))
    preset = validated({"name": name, "source": source, "kind": "derived", **made}, name)
    return Converted(preset, dropped)


def read(path: Path) -> Table:
    """The parameters in a file: TOML, JSON, or a printed Python object; raises InputError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if path.suffix == ".toml":
        try:
            return tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise InputError(f"not a TOML file: {error}", str(path)) from None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        found = printed(text, str(path))
    if not isinstance(found, dict):
        raise InputError("must hold one table of parameters", str(path))
    return found


def printed(text: str, where: str = "text") -> Table:
    """The fields of ``Name(field=value, ...)``, values literals; raises InputError."""
    try:
        call = ast.parse(text.strip(), mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and not call.args):
            raise ValueError("no call")
        fields = {str(each.arg): ast.literal_eval(each.value) for each in call.keywords}
    except (SyntaxError, ValueError):
        raise InputError("neither JSON nor the printed form Name(field=value, ...) with plain values", where) from None
    return {"class": call.func.id, **fields}


# --- aihwkit ----------------------------------------------------------------------------------------------------------

_PULSED: Table = {
    "dw_min": 1e-3, "dw_min_dtod": 0.3, "dw_min_std": 0.3, "up_down": 0.0, "up_down_dtod": 0.01, "w_max": 0.6,
    "w_min": -0.6, "w_max_dtod": 0.3, "w_min_dtod": 0.3, "write_noise_std": 0.0, "dw_min_dtod_log_normal": False,
}  # fmt: skip
_NOT_HERE: dict[str, tuple[Any, str]] = {
    "lifetime": (0.0, "decay is per mini-batch there; model capacitor has tau_leak_s in seconds"),
    "lifetime_dtod": (0.0, "see lifetime; tau_leak_dtod of capacitor"),
    "diffusion": (0.0, "diffusion is per mini-batch there; capacitor has diffusion_per_sqrt_s"),
    "diffusion_dtod": (0.0, "see diffusion"),
    "corrupt_devices_prob": (0.0, "stuck devices are the chip's: chip.synapse.stuck_fraction"),
    "corrupt_devices_range": (1000, "see corrupt_devices_prob"),
    "reset": (0.01, "reset of a device is not modelled"),
    "reset_dtod": (0.0, "reset of a device is not modelled"),
    "reset_std": (0.01, "reset of a device is not modelled"),
    "perfect_bias": (False, "biases are devices like all others here"),
    "enforce_consistency": (True, "bounds and steps are always made consistent here"),
    "allow_increasing": (False, "steps that grow towards the bound are not modelled"),
    "drift": (None, "power-law drift per call there; model pcm has drift in seconds"),
    "construction_seed": (0, "mismatch comes from the chip's fabrication seed"),
    "mean_bound_reference": (None, "the slope refers to the device's own bound"),
    "count_pulses": (False, "pulses are always counted here"),
}
_EXP: Table = {
    "A_up": 0.00081, "A_down": 0.36833, "gamma_up": 12.44625, "gamma_down": 12.78785, "a": 0.244, "b": 0.2425,
    "dw_min_std_add": 0.0, "dw_min_std_slope": 0.0,
}  # fmt: skip
_POW: Table = {"pow_gamma": 1.0, "pow_gamma_dtod": 0.1, "pow_up_down": 0.0, "pow_up_down_dtod": 0.0}
_LINEAR: Table = {"gamma_up": 0.0, "gamma_down": 0.0, "gamma_up_dtod": 0.05, "gamma_down_dtod": 0.05}


def _aihwkit(given: Table) -> tuple[Table, list[str]]:
    name = given.pop("class", None)
    given.pop("source", None)
    known = ("ConstantStep", "LinearStep", "SoftBounds", "SoftBoundsReference", "SoftBoundsPmax", "ExpStep", "PowStep",
             "PiecewiseStep")  # fmt: skip
    if not isinstance(name, str) or name.removesuffix("Device") not in known:
        raise InputError("class: " + registry.unknown(name, [f"{each}Device" for each in known], "aihwkit device"))
    kind = name.removesuffix("Device")
    take: Callable[[str, Any], Any] = lambda key, default: given.pop(key, default)  # noqa: E731
    if kind == "SoftBoundsPmax":
        kind = "SoftBounds"
        low, high = take("range_min", -1.0), take("range_max", 1.0)
        alpha = take("alpha", 5e-4)
        b = (high - low) / -math.expm1(-take("p_max", 1000) * alpha)
        given.update(w_min=low, w_max=low + b, dw_min=b * alpha, up_down=1.0 + 2.0 * low / b)
    device = {key: take(key, default) for key, default in _PULSED.items()}
    if device["write_noise_std"] > 0.0:
        device["write_noise"] = "apparent"
    noise = "relative" if take("mult_noise", True) else "constant"
    if kind == "ConstantStep":
        device["model"] = "constant-step"
    elif kind == "LinearStep":
        device |= {key: take(key, default) for key, default in _LINEAR.items()}
        device |= {"model": "linear-step", "noise": noise}
        device["reference_bound"] = "mean" if take("mean_bound_reference", True) else "own"
    elif kind == "SoftBounds":
        given.pop("mean_bound_reference", None)
        if noise == "relative":
            device["model"] = "soft-bounds"
        else:
            device |= {"model": "linear-step", "noise": noise, "gamma_up": 1.0, "gamma_down": 1.0}
    elif kind == "SoftBoundsReference":
        symmetric = take("subtract_symmetry_point", False)
        device |= {"model": "soft-bounds-reference", "noise": noise}
        device |= {"reference": "symmetry-point" if symmetric else "zero"}
        device |= {"reference_std": take("reference_std", 0.05), "reference_mean": take("reference_mean", 0.0)}
    elif kind == "ExpStep":
        device |= {"model": "exp-step", **{key: take(key, default) for key, default in _EXP.items()}}
    elif kind == "PowStep":
        device |= {"model": "pow-step", **{key: take(key, default) for key, default in _POW.items()}}
    else:
        up, down = take("piecewise_up", [1.0]), take("piecewise_down", [1.0])
        device |= {
            "model": "piecewise-step",
            "up": up if len(up) > 1 else up * 2,
            "down": down if len(down) > 1 else down * 2,
        }
    dropped, wrong = [], []
    for key, value in given.items():
        default, why = _NOT_HERE.get(key, (None, ""))
        if key not in _NOT_HERE:
            wrong.append(registry.unknown(key, [*_PULSED, *_NOT_HERE], f"field of {name}"))
        elif value not in (default, None):
            dropped.append(f"{key} = {value}: {why}")
    if wrong:
        raise InputError(wrong)
    return {"device": device}, dropped


# --- the NeuroSim family ----------------------------------------------------------------------------------------------


def curvature(label: float) -> float:
    """A over the number of pulses of a non-linearity label, 0 < label <= 9.

    The label is taken as ten times the largest distance of the normalised curve (1 - e^(-p/A)) / (1 - e^(-1/A)) from
    the straight line; the published table gives A = 1.2517 for the label 1, this 1.2387 (1 % off). Give A itself where
    you know it.
    """
    from scipy.optimize import brentq

    def distance(a: float) -> float:
        whole = -math.expm1(-1.0 / a)
        at = -a * math.log(a * whole)
        return -math.expm1(-at / a) / whole - at

    return float(brentq(lambda a: distance(a) - abs(label) / 10.0, 1e-3, 1e4))


def _neurosim(given: Table) -> tuple[Table, list[str]]:
    wrong, dropped = [], []
    for key in ("Gmax", "Gmin", "P_LTP"):
        if not isinstance(given.get(key), int | float):
            wrong.append(f"{key}: a number is needed")
    for way in ("LTP", "LTD"):
        if f"A_{way}" not in given and f"NL_{way}" not in given:
            wrong.append(f"A_{way} or NL_{way}: the curvature is needed")
    known = ("Gmax", "Gmin", "P_LTP", "P_LTD", "A_LTP", "A_LTD", "NL_LTP", "NL_LTD", "sigma_c2c", "sigma_d2d", "V_LTP",
             "V_LTD", "t_LTP", "t_LTD", "V_read", "t_read", "source", "C_wire", "NL_IV")  # fmt: skip
    wrong += [registry.unknown(key, list(known), "NeuroSim parameter") for key in given if key not in known]
    if wrong:
        raise InputError(wrong)
    pulses = {"LTP": float(given["P_LTP"]), "LTD": float(given["P_LTD"] if "P_LTD" in given else given["P_LTP"])}
    bound, rate = {}, {}
    for way in ("LTP", "LTD"):
        label = float(given.get(f"NL_{way}", 0.0))
        if f"A_{way}" in given:
            a = abs(float(given[f"A_{way}"]))
        else:
            a = curvature(max(abs(label), 1e-3))
            dropped.append(f"NL_{way} = {label:g}: taken as A = {a:.5g} of the pulses (see neurosim.devices.convert)")
        # in weights: the range -1..1 is 2 long, and the curve aims at bound 2 / (1 - e^(-1/A)) from where it starts
        bound[way] = 2.0 / -math.expm1(-1.0 / a) - 1.0
        rate[way] = -math.expm1(-1.0 / (a * pulses[way]))
    up, down = bound["LTP"] * rate["LTP"], bound["LTD"] * rate["LTD"]
    size = max(up, down)
    c2c = float(given.get("sigma_c2c", 0.0))
    device = {
        "model": "linear-step", "dw_min": size, "w_max": 1.0, "w_min": -1.0, "gamma_up": 1.0 / bound["LTP"],
        "gamma_down": 1.0 / bound["LTD"], "up_down": up / down - 1.0 if up < down else 1.0 - down / up,
        "write_noise_std": 2.0 * c2c / size,
    }  # fmt: skip
    for key, why in (("sigma_d2d", "there it varies the label of the curve; gamma_up_dtod, gamma_down_dtod do here"),
                     ("C_wire", "the wire is the chip's: prices.weight_pulse"),
                     ("NL_IV", "reads are ohmic here")):  # fmt: skip
        if given.get(key):
            dropped.append(f"{key} = {given[key]}: {why}")
    made: Table = {"device": device}
    if all(key in given for key in ("V_LTP", "V_LTD", "t_LTP", "t_LTD")):
        made["electrical"] = {
            "g_min_S": given["Gmin"], "g_max_S": given["Gmax"], "up_V": given["V_LTP"], "down_V": given["V_LTD"],
            "up_s": given["t_LTP"], "down_s": given["t_LTD"],
            **({"read_V": given["V_read"]} if "V_read" in given else {}),
            **({"read_s": given["t_read"]} if "t_read" in given else {}),
        }  # fmt: skip
    else:
        dropped.append(f"Gmax = {given['Gmax']:g} S, Gmin = {given['Gmin']:g} S: without V_LTP, V_LTD, t_LTP, t_LTD "
                       "there are no joules, and conductances play no part")  # fmt: skip
    return made, dropped


# --- CrossSim ---------------------------------------------------------------------------------------------------------


def _crosssim(given: Table) -> tuple[Table, list[str]]:
    given.pop("source", None)
    if "CDF" in given or "G" in given:
        return _look_up(given)
    if "alpha" in given:
        return _analytic(given)
    if "cell_bits" in given:
        return _cell(given)
    raise InputError("neither alpha (ANALYTIC update), nor G, CDF, up, down (look-up table), nor cell_bits (a cell)")


def _look_up(given: Table) -> tuple[Table, list[str]]:
    missing = [f"{key}: missing" for key in ("G", "CDF", "up", "down") if key not in given]
    if missing:
        raise InputError(missing)
    conductances = [float(each) for each in given.pop("G")]
    low, high = min(conductances), max(conductances)
    span = high - low
    scaled = {way: [[2.0 * float(each) / span for each in row] for row in given.pop(way)] for way in ("up", "down")}
    device = {
        "model": "table-step", "levels": [(each - low) / span for each in conductances],
        "quantiles": [float(each) for each in given.pop("CDF")], **scaled,
    }  # fmt: skip
    return {"device": device}, [f"{key} = {value}: not part of the table" for key, value in given.items()]


def _analytic(given: Table) -> tuple[Table, list[str]]:
    alpha = float(given.pop("alpha"))
    pulse = float(given.pop("pulse", 1e-3))
    w_max, w_min = float(given.pop("wmax", 1.0)), float(given.pop("wmin", -1.0))
    wrong = [] if alpha > 0.0 else ["alpha: must be above 0"]
    wrong += [] if 0.0 < pulse < 1.0 else ["pulse: must be between 0 and 1"]
    wrong += [] if w_min < 0.0 < w_max else ["wmin, wmax: zero must lie between them"]
    if wrong:
        raise InputError(wrong)
    whole = (w_max - w_min) / -math.expm1(-alpha)
    rate = -math.expm1(-alpha * pulse)
    up, down = whole + w_min, whole - w_max  # where the curves aim, counted from w = 0
    size = max(up, down) * rate
    device = {
        "model": "linear-step", "dw_min": size, "w_max": w_max, "w_min": w_min, "gamma_up": w_max / up,
        "gamma_down": -w_min / down, "up_down": up / down - 1.0 if up < down else 1.0 - down / up,
    }  # fmt: skip
    why = (
        "noise there grows with the root of the step's size; dw_min_std is relative to the step, write_noise_std is not"
    )
    return {"device": device}, [f"{key} = {value}: {why}" for key, value in given.items()]


def _cell(given: Table) -> tuple[Table, list[str]]:
    bits = given.pop("cell_bits")
    device: Table = {"model": "quantized", "bits": bits} if bits else {"model": "ideal"}
    where = {
        "read_noise": "chip.synapse.read_noise_std", "programming_error": "dw_min_std of a pulsed model",
        "Rmin": "chip.synapse.g_max_S = 1 / Rmin", "Rmax": "chip.synapse.g_min_S = 1 / Rmax",
        "Vread": "chip.synapse.read_voltage_V", "drift_error": "models pcm and sonos", "time": "the chip's own seconds",
    }  # fmt: skip
    return {"device": device}, [f"{key} = {value}: {where.get(key, 'not modelled')}" for key, value in given.items()]


ORIGINS: dict[str, Callable[[Table], tuple[Table, list[str]]]] = {
    "aihwkit": _aihwkit, "crosssim": _crosssim, "neurosim": _neurosim,
}  # fmt: skip
