"""The one error of the engine."""


class CalculationError(ValueError):
    """What was asked cannot be computed; the message tells a model what to write instead."""
