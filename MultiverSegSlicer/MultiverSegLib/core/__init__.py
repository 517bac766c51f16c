"""Prompts, grid imaging, networks, context, prediction. Needs numpy and torch only; knows neither MRML nor Qt."""
