"""What users of comparable extensions ran into, and the test that fails here if it comes back. Checked by test_table.py.

Ids are ``file::test`` below Testing/Python. ``taken_out`` is what was removed by hand, once, and at least one of the tests was seen to fail.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One line of the list: what must not happen again, the tests that guard it, and the fix without which they fail."""

    name: str
    tests: tuple[str, ...]
    taken_out: str


LINES = (
    Line(
        "thin strokes of 1, 2 and 3 pixels survive",
        (
            "core/test_encoding.py::test_thin_strokes_and_single_clicks_survive_pooling",
            "regression/test_lines.py::test_thin_painted_strokes_reach_the_network",
        ),
        "the pixel under each painted voxel in Sheet.pool",
    ),
    Line(
        "a single click survives",
        (
            "core/test_encoding.py::test_a_click_is_one_pixel_in_the_channel_of_its_sign",
            "mrml/test_slice_plane_properties.py::test_a_single_voxel_survives_as_stroke_and_as_click",
            "regression/test_lines.py::test_a_single_painted_voxel_reaches_the_network",
        ),
        "the pixel under each painted voxel in Sheet.pool",
    ),
    Line(
        "one slice and the whole volume get identical prompts and images",
        (
            "mrml/test_slice_plane_properties.py::test_volume_and_slice_path_agree",
            "regression/test_lines.py::test_slice_and_volume_path_scale_alike",
        ),
        "the scaling by slice in SliceStack",
    ),
    Line(
        "a constant slice",
        ("core/test_imaging.py::test_constant_empty_and_broken_slices_are_zeros",),
        "the guard against a zero span in scale_to_unit",
    ),
    Line(
        "NaN and infinite values",
        (
            "core/test_imaging.py::test_nan_voxels_do_not_darken_their_neighbours",
            "core/predictors/test_slices.py::test_missing_inputs_are_zeros_and_broken_values_too",
        ),
        "isfinite in scale_to_unit",
    ),
    Line(
        "values above 65,504",
        (
            "core/test_imaging.py::test_minmax_is_exact_and_large_values_do_not_overflow",
            "core/test_imaging.py::test_hounsfield_steps_stay_apart",
        ),
        "float64 in scale_to_unit (float16 instead)",
    ),
    Line(
        "a field of view that is not square, there and back",
        (
            "mrml/test_slice_plane_properties.py::test_a_painted_shape_comes_back_where_it_was",
            "regression/test_lines.py::test_the_ends_of_a_slice_that_is_not_square_come_back",
        ),
        "the longer side in place_grid (the shorter instead)",
    ),
    Line("anisotropic spacing in the plane", ("core/test_imaging.py::test_physical_size_counts_not_voxels",), "the spacing in slice_sheet"),
    Line(
        "reversed axes",
        ("mrml/test_slice_plane_properties.py::test_all_48_ways_to_store_one_anatomy_give_one_grid_image",),
        "the score of patient_frame",
    ),
    Line(
        "parent transforms",
        (
            "mrml/test_volumes.py::test_parent_transforms_count",
            "ui/effect/test_effect.py::test_a_transformed_volume_is_segmented_where_it_is_seen",
        ),
        "the parent transform in ijk_to_ras",
    ),
    Line(
        "two volumes of different geometry in the view",
        ("ui/effect/test_effect.py::test_with_two_volumes_in_the_view_the_source_volume_counts",),
        "the editor's source volume (the last volume of the scene instead)",
    ),
    Line(
        "a view tilted by 0.05, 0.3, 1 and 10 degrees",
        (
            "ui/effect/test_effect.py::test_a_tilted_view_writes_where_it_shows",
            "engine/test_slice_session.py::test_a_tilted_plane_works_alike",
        ),
        "the half-voxel rule in _nearest_slice",
    ),
    Line(
        "outside of the volume",
        (
            "mrml/test_slice_plane_properties.py::test_planes_outside_of_the_volume_are_refused",
            "ui/effect/test_effect.py::test_outside_of_the_volume_nothing_is_written",
        ),
        "the check of the index in _nearest_slice",
    ),
    Line(
        "an empty segmentation",
        ("ui/effect/test_effect.py::test_nothing_to_go_by_is_said", "engine/test_slice_session.py::test_an_empty_segment_is_not_accepted"),
        "the check in SliceSession.request",
    ),
    Line(
        "no segment selected",
        ("regression/test_lines.py::test_without_a_selected_segment_the_effect_says_so",),
        "the check in PromptPresenter.required_target",
    ),
    Line(
        "undo restores exactly",
        (
            "ui/effect/test_effect.py::test_undo_and_redo_take_prompt_and_result_together",
            "mrml/test_writing.py::test_the_editors_own_undo_takes_a_write_back",
        ),
        "saveUndo in PromptPresenter.change_prompts",
    ),
    Line(
        "masking is respected",
        (
            "mrml/test_writing.py::test_writing_equals_slicers_editor",
            "ui/effect/test_writer.py::test_equal_to_writing_in_place",
            "ui/effect/test_effect.py::test_masking_of_the_editor_is_respected",
        ),
        "the editor in EffectWriter.write",
    ),
    Line(
        "cancel leaves nothing",
        (
            "ui/test_lifecycle.py::test_escape_cancels_and_nothing_is_written",
            "ui/panel/test_panel.py::test_cancelled_propagation_leaves_no_trace",
        ),
        "cancelling of session and worker in PromptPresenter.cancel; the check of busy in VolumeTask",
    ),
    Line(
        "another segment is selected during a prediction",
        ("ui/test_lifecycle.py::test_segment_switched_during_prediction",),
        "the comparisons of targets and prompts in PromptPresenter.refresh and _finished",
    ),
    Line(
        "a node is deleted during a prediction",
        ("ui/test_lifecycle.py::test_node_deleted_during_prediction",),
        "those comparisons, is_alive of the session and the observer of removed nodes",
    ),
    Line(
        "the scene is closed during a prediction",
        ("ui/test_lifecycle.py::test_scene_closed_during_prediction", "ui/panel/test_panel.py::test_scene_closed_during_propagation"),
        "all of these and the observer of StartCloseEvent",
    ),
    Line(
        "import of bombs, ../, foreign files and other sizes",
        (
            "core/context/test_context_set.py::test_import_refuses_bombs",
            "core/context/test_context_set.py::test_import_refuses_paths_that_lead_outside",
            "core/context/test_context_set.py::test_import_refuses_other_sizes_pairs_and_files",
        ),
        "the check of paths; the limits of sizes",
    ),
    Line(
        "truncated weights are rejected and fetched again",
        ("core/models/test_checkpoints.py::test_truncated_file_is_noticed_and_fetched_again",),
        "the comparison of size and SHA-256",
    ),
    Line(
        "deleting touches our own marked folders only",
        (
            "core/context/test_context_set.py::test_delete_touches_our_files_only",
            "core/context/test_context_set.py::test_foreign_folder_is_refused_and_left_alone",
        ),
        "deleting by name (the whole folder instead)",
    ),
    Line(
        "an update or uninstall keeps the contexts",
        (
            "ui/panel/test_panel.py::test_update_or_uninstall_keeps_contexts",
            "core/context/test_context_set.py::test_extension_folder_is_refused",
        ),
        "the refusal of folders inside the extension",
    ),
    Line(
        "the network is really run in context, with a stored reference output",
        (
            "core/predictors/test_slices.py::test_in_context_really_looks_at_the_context",
            "regression/test_lines.py::test_bundled_model_in_context_gives_the_stored_output",
        ),
        "passing the examples on in Predictor",
    ),
)
