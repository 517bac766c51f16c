"""Keeps state, so that a test can see whether it is imported afresh."""

loads = []
