"""The UI tests that cannot run in the application, each with its reason. Everything that is not named here runs and must pass.

A name is a test's id below `Testing/Python/ui`, without parameters; a file without `::` names all of its tests.
"""

from __future__ import annotations

_QUITS = "quits the application, which would end the tests with it"

CANNOT_RUN: dict[str, str] = {
    "cohort/test_actions.py::test_a_missing_package_is_asked_for_once_and_declining_exports_nothing": "answers the question of pip_ensure, which asks nothing in testing mode",
    "panel/test_panel.py::test_texts_go_through_translation": "sets the test host's table of translations; Slicer reads compiled ones at its start",
    "panel/test_panel.py::test_update_or_uninstall_keeps_contexts": "looks at the installed tree of the test host; Slicer loads the module from the folder that it was given",
    "workflow/test_key_repeat.py::test_a_proposal_is_not_accepted_as_soon_as_it_is_shown": "presses a key twice within a moment; real keys come too slowly",
    "test_inside_slicer.py::test_as_the_start_up_module_it_has_its_effect": "is about the start of the application, which is over",
    "test_inside_slicer.py::test_starting_slicer_imports_nothing_heavy": "is about the start of the application, after which tests import more",
    "test_inside_slicer.py::test_quitting_in_the_middle_of_a_prediction_leaves_no_thread": _QUITS,
    "test_inside_slicer.py::test_quitting_while_proposals_are_made_leaves_no_thread": _QUITS,
}


def reason(node_id: str) -> str:
    """Why a test cannot run in the application; "" for one that can. `node_id` is pytest's, relative to any folder above."""
    below = node_id.replace("\\", "/").split("Testing/Python/ui/")[-1].removeprefix("ui/")
    without_parameters = below.split("[")[0]
    return CANNOT_RUN.get(without_parameters) or CANNOT_RUN.get(without_parameters.split("::")[0], "")
