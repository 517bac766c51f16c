"""A small cohort of volumes that don't exist, for tests that need its files only."""

from MultiverSegLib.cohort.store.cohort import Cohort
from MultiverSegLib.cohort.store.records import Case, Source, Structure


def paper_cohort(folder, cases=3, structures=("liver",), who="", **settings):
    """A cohort of ``cases`` named a, b, c ... whose volumes are paths only; ``who`` opens it (default: the login name)."""
    entries = [Case(chr(97 + n % 26) + ("" if n < 26 else str(n)), Source("file", f"../images/{n}.nrrd")) for n in range(cases)]
    return Cohort.create(folder, entries, [Structure.numbered(s, n) for n, s in enumerate(structures)], "trial", settings, who)
