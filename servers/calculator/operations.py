"""The names that callers choose from; the server's schemas and the engine share them."""

from typing import Literal

Mode = Literal["auto", "exact", "decimal"]

DateOperation = Literal["diff", "add", "workdays", "add_workdays", "weekday", "age"]

FinanceOperation = Literal["loan", "compound", "npv", "irr", "percent_change", "cagr", "margin"]

Statistic = Literal[
    "count",
    "sum",
    "mean",
    "median",
    "mode",
    "min",
    "max",
    "range",
    "variance",
    "stdev",
    "population_variance",
    "population_stdev",
    "q1",
    "q3",
    "iqr",
    "p5",
    "p90",
    "p95",
    "p99",
    "geometric_mean",
    "harmonic_mean",
]
