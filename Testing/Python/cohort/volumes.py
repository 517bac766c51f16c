"""Volumes made for tests: a bright ellipsoid in noise, on an oblique grid, written with SimpleITK (not with what is tested)."""

import numpy as np
import SimpleITK as sitk
from MultiverSegLib.cohort.sources.files import cases_from_folder
from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Structure

SHAPE = (12, 40, 36)
SPACING = (0.9, 0.8, 2.5)


def ellipsoid(seed=0):
    """(image int16, mask uint8), both [k, j, i]."""
    rng = np.random.default_rng(seed)
    k, j, i = np.indices(SHAPE)
    center = np.array([5.5, 19, 17]) + rng.uniform(-1, 1, 3)
    mask = ((k - center[0]) / 4.5) ** 2 + ((j - center[1]) / 11) ** 2 + ((i - center[2]) / 9) ** 2 <= 1
    return (mask * 300 + rng.normal(100, 12, SHAPE)).astype(np.int16), mask.astype(np.uint8)


def write(path, array, angle=0.3):
    image = sitk.GetImageFromArray(array)
    c, s = np.cos(angle), np.sin(angle)
    image.SetDirection((c, -s, 0, s, c, 0, 0, 0, 1))
    image.SetSpacing(SPACING)
    image.SetOrigin((-12.5, 7, 40))
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(image, str(path), True)


def write_cohort_files(folder, cases=3, labels=True):
    """images/p0.nrrd ... and labels/p0.nrrd ...; returns the masks."""
    masks = []
    for n in range(cases):
        image, mask = ellipsoid(n)
        write(folder / "images" / f"p{n}.nrrd", image)
        if labels:
            write(folder / "labels" / f"p{n}.nrrd", mask)
        masks.append(mask)
    return masks


def real_cohort(folder, cases=3, labels=True, **settings):
    """A cohort of such volumes in ``folder/cohort`` with one structure "blob" on the axial axis."""
    write_cohort_files(folder / "data", cases, labels)
    found = cases_from_folder(folder / "data", folder / "cohort", ["blob"])
    return Cohort.create(folder / "cohort", found, [Structure("blob")], settings=settings)
