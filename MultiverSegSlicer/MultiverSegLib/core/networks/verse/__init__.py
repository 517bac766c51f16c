"""VerSe: known structures by learned object queries, corrected by clicks, or clicks alone. One file per part of the network."""

from .network import ObjectQuery, Verse

__all__ = ["ObjectQuery", "Verse"]
