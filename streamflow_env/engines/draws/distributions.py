"""How each distribution is sampled: by inversion of one uniform number, so that a variate is monotone in its draw.

Both engines call these functions, so their floating-point results are the same.
"""

from __future__ import annotations

import math
from typing import Final

from streamflow_env.engines.compiling import kernel

CONSTANT: Final = 0
EXPONENTIAL: Final = 1
LOGNORMAL: Final = 2
FAMILIES: Final = {"constant": CONSTANT, "exponential": EXPONENTIAL, "lognormal": LOGNORMAL}
NANOSECONDS: Final = 1e9
LONGEST_S: Final = 1e9
"""A duration that is drawn longer ends after this: 31 years, in 64 bits of nanoseconds. No episode lasts so long."""
LONGEST_NS: Final = LONGEST_S * NANOSECONDS


def lognormal_parameters(mean: float, cv: float) -> tuple[float, float]:
    """(mu, sigma) of the lognormal distribution with this mean and coefficient of variation."""
    variance = math.log1p(cv * cv)
    return math.log(mean) - variance / 2.0, math.sqrt(variance)


def duration_code(mean_s: float, cv: float, distribution: str) -> tuple[int, float, float]:
    """(family, a, b) as `duration_ns` wants them; `cv` = 0 or a mean of 0 is constant."""
    if distribution == "exponential" and mean_s > 0:
        return EXPONENTIAL, mean_s, 0.0
    if distribution == "constant" or cv == 0 or mean_s == 0:
        return CONSTANT, mean_s, 0.0
    mu, sigma = lognormal_parameters(mean_s, cv)
    return LOGNORMAL, mu, sigma


@kernel
def to_ns(seconds: float) -> int:
    """Seconds as whole nanoseconds, rounded half up; at most `LONGEST_S`."""
    return math.floor(min(seconds, LONGEST_S) * NANOSECONDS + 0.5)


@kernel
def exponential(u: float, mean: float) -> float:
    """An exponential variate by inversion."""
    return -mean * math.log(1.0 - u)


@kernel
def duration_ns(u: float, family: int, a: float, b: float, factor: float) -> int:
    """A duration in ns: constant a, exponential of mean a, or lognormal(a, b), in seconds; times `factor`."""
    if family == CONSTANT:
        seconds = a
    elif family == EXPONENTIAL:
        seconds = exponential(u, a)
    else:
        seconds = math.exp(a + b * normal_quantile(u))
    return to_ns(seconds * factor)


@kernel
def scaled_ns(duration: int, factor: float) -> int:
    """A duration in ns times `factor`, rounded half up; at most `LONGEST_S`."""
    return math.floor(min(duration * factor + 0.5, LONGEST_NS))


@kernel
def normal_quantile(p: float) -> float:
    """Φ⁻¹(p) for p in (0, 1), to about 1 part in 10^16: Wichura 1988, algorithm AS 241 (PPND16)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _central(r)
    r = p if q < 0.0 else 1.0 - p
    r = math.sqrt(-math.log(r))
    value = _near_tail(r - 1.6) if r <= 5.0 else _far_tail(r - 5.0)
    return -value if q < 0.0 else value


@kernel
def _central(r: float) -> float:
    numerator = 2.5090809287301226727e3
    numerator = numerator * r + 3.3430575583588128105e4
    numerator = numerator * r + 6.7265770927008700853e4
    numerator = numerator * r + 4.5921953931549871457e4
    numerator = numerator * r + 1.3731693765509461125e4
    numerator = numerator * r + 1.9715909503065514427e3
    numerator = numerator * r + 1.3314166789178437745e2
    numerator = numerator * r + 3.3871328727963666080e0
    denominator = 5.2264952788528545610e3
    denominator = denominator * r + 2.8729085735721942674e4
    denominator = denominator * r + 3.9307895800092710610e4
    denominator = denominator * r + 2.1213794301586595867e4
    denominator = denominator * r + 5.3941960214247511077e3
    denominator = denominator * r + 6.8718700749205790830e2
    denominator = denominator * r + 4.2313330701600911252e1
    return numerator / (denominator * r + 1.0)


@kernel
def _near_tail(r: float) -> float:
    numerator = 7.74545014278341407640e-4
    numerator = numerator * r + 2.27238449892691845833e-2
    numerator = numerator * r + 2.41780725177450611770e-1
    numerator = numerator * r + 1.27045825245236838258e0
    numerator = numerator * r + 3.64784832476320460504e0
    numerator = numerator * r + 5.76949722146069140550e0
    numerator = numerator * r + 4.63033784615654529590e0
    numerator = numerator * r + 1.42343711074968357734e0
    denominator = 1.05075007164441684324e-9
    denominator = denominator * r + 5.47593808499534494600e-4
    denominator = denominator * r + 1.51986665636164571966e-2
    denominator = denominator * r + 1.48103976427480074590e-1
    denominator = denominator * r + 6.89767334985100004550e-1
    denominator = denominator * r + 1.67638483018380384940e0
    denominator = denominator * r + 2.05319162663775882187e0
    return numerator / (denominator * r + 1.0)


@kernel
def _far_tail(r: float) -> float:
    numerator = 2.01033439929228813265e-7
    numerator = numerator * r + 2.71155556874348757815e-5
    numerator = numerator * r + 1.24266094738807843860e-3
    numerator = numerator * r + 2.65321895265761230930e-2
    numerator = numerator * r + 2.96560571828504891230e-1
    numerator = numerator * r + 1.78482653991729133580e0
    numerator = numerator * r + 5.46378491116411436990e0
    numerator = numerator * r + 6.65790464350110377720e0
    denominator = 2.04426310338993978564e-15
    denominator = denominator * r + 1.42151175831644588870e-7
    denominator = denominator * r + 1.84631831751005468180e-5
    denominator = denominator * r + 7.86869131145613259100e-4
    denominator = denominator * r + 1.48753612908506148525e-2
    denominator = denominator * r + 1.36929880922735805310e-1
    denominator = denominator * r + 5.99832206555887937690e-1
    return numerator / (denominator * r + 1.0)


@kernel
def popular_key(u: float, num_keys: int, exponent: float) -> int:
    """A key in [0, num_keys) with p(k) = ∫ from k+1 to k+2 of x^-exponent, normalised: Zipf's law, in closed form.

    Inverts the integral, so it takes one draw, no table and the same time for any number of keys.
    """
    top = float(num_keys + 1)
    if exponent == 1.0:
        x = math.exp(u * math.log(top))
    else:
        power = 1.0 - exponent
        x = (1.0 + u * (top**power - 1.0)) ** (1.0 / power)
    return min(max(int(x) - 1, 0), num_keys - 1)
