"""The grid every network works on. Grid arrays are [row, col], float32; coordinates are (row, col) with pixel centres at integers."""

from __future__ import annotations

#: Rows and columns of the square grid, fixed by the published networks (papers: MultiverSeg B.1, ScribblePrompt).
GRID_SIZE = 128
#: Shape of one grid array.
GRID_SHAPE = (GRID_SIZE, GRID_SIZE)
