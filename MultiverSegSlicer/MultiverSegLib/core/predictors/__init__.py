"""Predictors of every kind behind the one seam (``core.predicting``); needs torch only when one is opened."""

from .opening import open_predictor

__all__ = ["open_predictor"]
