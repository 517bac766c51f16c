"""Predictors of every kind behind the one seam (``core.predicting``); needs torch only when one is opened."""

from .opening import capabilities_of, open_predictor, warm_up

__all__ = ["capabilities_of", "open_predictor", "warm_up"]
