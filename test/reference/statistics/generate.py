"""Writes controller/eval/statistics/testdata/reference.json with scipy and statsmodels.

    python3 -m venv venv && venv/bin/pip install numpy scipy statsmodels
    venv/bin/python test/reference/statistics/generate.py

Nothing here uses the formulas of the code under test: limits are roots of the definitions, the constrained
maximum of Tango's likelihood is searched for, and sign-flip tests are scipy's.
"""

import json
import pathlib
import platform

import numpy as np
import scipy
import statsmodels
from scipy import optimize, stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

OUT = pathlib.Path(__file__).parents[3] / "controller/eval/statistics/testdata/reference.json"
rng = np.random.default_rng(20240501)


def tango_statistic(gains, losses, n, difference):
    """Score statistic; the constrained estimate of the rate of losses is found by maximising the likelihood."""
    low, high = max(0.0, -difference), (1 - difference) / 2

    def loglikelihood(rate):
        cells = [(gains, rate + difference), (losses, rate), (n - gains - losses, 1 - 2 * rate - difference)]
        return sum(count * np.log(max(p, 1e-300)) for count, p in cells if count)

    best = optimize.minimize_scalar(
        lambda rate: -loglikelihood(rate), bounds=(low, high), method="bounded", options={"xatol": 1e-14}
    ).x
    rate = max((low, best, high), key=loglikelihood)
    return (gains - losses - n * difference) / np.sqrt(n * (2 * rate + difference * (1 - difference)))


def tango(gains, losses, n, alpha):
    z, estimate, edge = stats.norm.isf(alpha), (gains - losses) / n, 1 - 1e-9
    lower = -1.0 if losses == n else optimize.brentq(
        lambda d: tango_statistic(gains, losses, n, d) - z, -edge, min(estimate, edge) - 1e-12, xtol=1e-13
    )
    upper = 1.0 if gains == n else optimize.brentq(
        lambda d: tango_statistic(gains, losses, n, d) + z, max(estimate, -edge) + 1e-12, edge, xtol=1e-13
    )
    table = [[1, gains], [losses, 1]]
    p = mcnemar(table, exact=False, correction=False).pvalue if gains + losses else 1.0
    return {"gains": gains, "losses": losses, "n": n, "alpha": alpha, "lower": lower, "upper": upper, "mcnemar": p}


def flip_p(sums, weights, mean, alternative):
    shifted = np.asarray(sums) - mean * np.asarray(weights)
    return stats.permutation_test(
        (shifted,), lambda x, axis: np.sum(x, axis=axis), permutation_type="samples", vectorized=True,
        n_resamples=np.inf, alternative=alternative,
    ).pvalue


def last_kept(p_value, inside, outside, alpha):
    """The end of the means that the test keeps, by bisection of its p-value."""
    for _ in range(50):
        middle = (inside + outside) / 2
        if p_value(middle) > alpha:
            inside = middle
        else:
            outside = middle
    return inside


def sign_flip(sums, weights, alpha):
    ratios = np.asarray(sums) / np.asarray(weights)
    mean, reach = sum(sums) / sum(weights), np.ptp(ratios) + 1
    return {
        "sums": list(map(float, sums)), "weights": list(map(float, weights)), "alpha": alpha,
        "lower": last_kept(lambda m: flip_p(sums, weights, m, "greater"), mean, mean - reach, alpha),
        "upper": last_kept(lambda m: flip_p(sums, weights, m, "less"), mean, mean + reach, alpha),
        "less": flip_p(sums, weights, 0.0, "less"),
    }


def bounded(differences, value_range, alpha):
    """From the definition: mass q of the sample moved to the worst value, tested by the variance that this gives."""
    d, z, n = np.asarray(differences, float), stats.norm.isf(alpha), len(differences)

    def excess(q, worst):
        points = np.append(d, worst)
        mass = np.append(np.full(n, (1 - q) / n), q)
        mean = mass @ points
        return n * (d.mean() - mean) ** 2 - z**2 * (mass @ (points - mean) ** 2)

    def limit(worst):
        q = optimize.brentq(lambda q: excess(q, worst), 1e-12, 1, xtol=1e-15)
        return (1 - q) * d.mean() + q * worst

    return {"differences": d.tolist(), "range": value_range, "alpha": alpha, "lower": limit(-value_range), "upper": limit(value_range)}


def monte_carlo(n):
    d = np.round(rng.standard_exponential(n) - 1.15, 3)
    draws = 400_000
    sums, counts = np.empty(draws), np.empty(draws)
    for i in range(0, draws, 10_000):
        chosen = rng.integers(0, 2, (10_000, n))
        sums[i : i + 10_000], counts[i : i + 10_000] = chosen @ d, chosen.sum(axis=1)
    means = sums / counts
    lower, upper = np.quantile(means, [0.05, 0.95])
    return {"differences": d.tolist(), "lower": lower, "upper": upper, "less": float(np.mean(sums >= 0))}


def one_sample_t(d, alpha):
    test = stats.ttest_1samp(d, 0)
    interval = test.confidence_interval(1 - 2 * alpha)
    return {"differences": list(d), "alpha": alpha, "lower": interval.low, "upper": interval.high,
            "less": stats.ttest_1samp(d, 0, alternative="less").pvalue}


def holm(p, alpha):
    return {"pValues": list(map(float, p)), "alpha": alpha, "rejected": multipletests(p, alpha, "holm")[0].tolist()}


def wilson(successes, n, alpha):
    lower, upper = proportion_confint(successes, n, alpha=2 * alpha, method="wilson")
    return {"successes": successes, "n": n, "alpha": alpha, "lower": float(lower), "upper": float(upper)}


def seeded(seed, count):
    """xoshiro128** with the state from SplitMix64, in Python's integers."""
    state = []
    for _ in range(2):
        seed = (seed + 0x9E3779B97F4A7C15) % 2**64
        mixed = ((seed ^ seed >> 30) * 0xBF58476D1CE4E5B9) % 2**64
        mixed = ((mixed ^ mixed >> 27) * 0x94D049BB133111EB) % 2**64
        mixed ^= mixed >> 31
        state += [mixed % 2**32, mixed >> 32]
    out = []
    rotate = lambda x, k: (x << k | x >> 32 - k) % 2**32
    for _ in range(count):
        out.append(rotate(state[1] * 5 % 2**32, 7) * 9 % 2**32)
        t = state[1] << 9 & 0xFFFFFFFF
        state[2] ^= state[0]; state[3] ^= state[1]; state[1] ^= state[2]; state[0] ^= state[3]
        state[2] ^= t; state[3] = rotate(state[3], 11)
    return out


tables = [(0, 0, 8), (1, 0, 8), (8, 0, 8), (0, 8, 8), (0, 1, 8), (3, 4, 10), (1, 7, 21), (6, 16, 161), (40, 20, 160),
          (10, 10, 100), (0, 0, 1), (2, 0, 50), (100, 140, 1000), (500, 480, 1000), (12, 3, 15), (3000, 2900, 100000)]
small = [
    ([0.3, -0.1, 0.2, 0.5, 0.1], [1] * 5), ([0.25, -0.5, 0, 0, -0.75, 0.25, -0.25, 0], [1] * 8),
    (rng.normal(-0.6, 1, 10).tolist(), [1] * 10), ([-1.0] * 7, [1] * 7), (rng.exponential(1, 9).tolist(), [1] * 9),
    ([-3.0, 1, 0, -2, -4, 2, -1], [5, 2, 1, 3, 8, 4, 1]), (rng.normal(0, 2, 9).tolist(), rng.integers(1, 9, 9).tolist()),
]
reference = {
    "versions": {"python": platform.python_version(), "numpy": np.__version__, "scipy": scipy.__version__,
                 "statsmodels": statsmodels.__version__},
    "normal": [{"z": z, "tail": stats.norm.sf(z)} for z in [-3.2, -1, 0, 1e-9, 0.3, 1, 1.96, 1.9999, 2, 2.1, 3.5, 6, 12, 30]],
    "normalQuantile": [{"tail": p, "z": stats.norm.isf(p)} for p in [1e-12, 1e-4, 0.01, 0.025, 0.05, 0.2, 0.4999, 0.5, 0.8, 0.95]],
    "student": [{"t": t, "df": df, "tail": stats.t.sf(t, df)} for df in [1, 2, 3, 4, 7, 8, 30] for t in [-2.5, 0, 0.7, 3, 25]],
    "studentQuantile": [{"tail": p, "df": df, "t": stats.t.isf(p, df)} for df in [1, 2, 3, 8] for p in [0.001, 0.025, 0.05, 0.3]],
    "oneSampleT": [one_sample_t(d, a) for d in ([1.0, 2.5], [-0.3, -0.2, -0.45], [4.0, -1.0, 0.5, 2.25]) for a in (0.05, 0.025)],
    "wilson": [wilson(x, n, a) for x, n in [(0, 1), (1, 1), (0, 20), (7, 8), (29, 29), (81, 263), (999, 100000)] for a in (0.05, 0.025)],
    "holm": [holm(p, a) for p in ([0.01, 0.04, 0.03, 0.005], [0.02, 0.02, 0.02], [0.0125, 0.0125, 0.03, 0.9], [0.2], rng.uniform(0, 0.05, 12)) for a in (0.05, 0.1)],
    "tango": [tango(*t, a) for t in tables for a in (0.05, 0.025)],
    "signFlip": [sign_flip(s, w, a) for s, w in small for a in (0.05, 0.1)],
    "bounded": [bounded(d, r, a) for d, r in [([0] * 8, 1), ([-1, 0, 0, 0, 0], 1), ([0.25, -0.5, 0, 0.75, 0.1, -0.2], 1), ([2, 3, -4, 1], 10)] for a in (0.05, 0.025)],
    "monteCarlo": [monte_carlo(n) for n in (33, 64, 101)],
    "random": [{"seed": s, "words": seeded(s, 8)} for s in (0, 1, 20240501, 2**53 - 1)],
}
OUT.write_text(json.dumps(reference, indent=1, default=float) + "\n")
