"""The set-up box: repairing PyTorch, devices, folders; and what else of the panel Slicer showed to be wrong."""

from __future__ import annotations

import pytest

from ..test_lifecycle import off

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


# PyTorch


@pytest.mark.parametrize("extension", [True, False])
def test_repairing_asks_first_imports_nothing_and_removes_nothing_unasked(bench, extension):
    import qt

    bench.host.pytorch_extension(extension)
    with bench.host.torch("broken"):
        bench.open()
        bench.host.dialogs.answers.append(qt.QMessageBox.No)
        bench.panel.ui.installTorchButton.click()
        assert bench.host.installs == [] and "installed already" in bench.host.dialogs.texts()[0]
        assert "left as it is" in bench.panel.ui.torchStatusLabel.text
        bench.host.dialogs.answers.append(qt.QMessageBox.Yes)
        bench.panel.ui.installTorchButton.click()
        assert bench.host.installs[-1] == "torch>=2.6" and bench.host.installs[0].startswith("-torch")
        assert "Restart Slicer" in bench.panel.ui.torchStatusLabel.text
        assert len(bench.host.dialogs.shown) == 2, "one question each time"


def test_only_devices_that_predictions_can_use_are_offered(bench, monkeypatch):
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    bench.open()
    bench.panel.ui.checkTorchButton.click()
    box = bench.panel.ui.deviceComboBox
    assert box.findData("mps") < 0 and "mps" not in bench.panel.ui.torchStatusLabel.text


@pytest.mark.parametrize(("stored", "expected"), [("mps", "auto"), ("cuda:1", "cuda:1"), ("cpu", "cpu")])
def test_the_device_that_is_used_is_the_one_that_is_shown(bench, stored, expected):
    from MultiverSegLib.ui.shared import settings

    settings.set_value("Device", stored)
    bench.open()
    box = bench.panel.ui.deviceComboBox
    assert box.itemData(box.currentIndex) == expected == settings.value("Device")


# Folders


def folder_line(bench):
    import slicer

    return slicer.util.findChildren(bench.panel.ui.contextFolderLineEdit, className="QLineEdit")[0]


def test_a_folder_counts_when_its_name_is_typed_to_the_end(bench, tmp_path):
    import qt
    from MultiverSegLib.ui.shared import settings

    bench.open()
    line = folder_line(bench)
    line.setText(str(tmp_path))
    assert settings.value("ContextsFolder") == str(tmp_path), "chosen in the dialog or from the history: at once"
    line.end(False)
    for letter in "/new":
        bench.host.press_key(letter, line)
    assert settings.value("ContextsFolder") == str(tmp_path) and line.text.endswith("/new"), "typing alone changes nothing"
    bench.host.dialogs.answers.append(qt.QMessageBox.No)
    bench.host.press_key("Return", line)
    assert "does not exist" in bench.host.dialogs.texts()[-1]
    assert settings.value("ContextsFolder") == str(tmp_path) and line.text == str(tmp_path)
    line.end(False)
    for letter in "/new":
        bench.host.press_key(letter, line)
    bench.host.dialogs.answers.append(qt.QMessageBox.Yes)
    bench.host.press_key("Return", line)
    assert settings.value("ContextsFolder") == str(tmp_path / "new") and (tmp_path / "new").is_dir()


def test_a_folder_that_cannot_be_made_is_told(bench, tmp_path):
    import qt
    from MultiverSegLib.ui.shared import settings

    bench.open()
    before = settings.value("ContextsFolder")
    (tmp_path / "file").write_text("not a folder")
    bench.host.dialogs.answers.append(qt.QMessageBox.Yes)
    folder_line(bench).setText(str(tmp_path / "file" / "new"))
    assert "could not be made" in bench.host.dialogs.texts()[-1]
    assert settings.value("ContextsFolder") == before


def test_the_weights_folder_is_shown_in_one_line(bench):
    from MultiverSegLib.ui.shared import service

    bench.open()
    bench.panel.ui.setupCollapsibleButton.collapsed = False
    bench.host.process_events(0.05)
    line = bench.panel.ui.weightsFolderLineEdit
    assert line.text == str(service.registry().folder) and line.readOnly and line.height >= line.minimumSizeHint.height()


def test_the_users_examples_can_be_deleted_after_a_question(opened):
    import qt
    from MultiverSegLib.ui.shared import contexts

    opened.red.drag([off(-8), off(8)])
    opened.settle()
    opened.effect.self().accept()
    own, clear = contexts.shared().own, opened.panel.ui.clearContextsButton
    stranger = own.folder / "notes.txt"
    stranger.write_text("mine")
    assert sum(own.counts().values()) == 1
    opened.host.dialogs.answers.append(qt.QMessageBox.No)
    clear.click()
    assert "can't be undone" in opened.host.dialogs.texts()[-1] and opened.panel.ui.contextListWidget.count == 1
    opened.host.dialogs.answers.append(qt.QMessageBox.Yes)
    clear.click()
    assert own.counts() == {}, opened.host.dialogs.texts()
    assert opened.panel.ui.contextListWidget.count == 0 and stranger.read_text() == "mine"
    clear.click()
    assert "no examples" in opened.host.dialogs.texts()[-1] and opened.host.exceptions == []


# Gallery, curve


def test_a_file_without_examples_is_told_and_the_gallery_goes_on(opened, tmp_path):
    opened.red.drag([off(-8), off(8)])
    opened.settle()
    opened.effect.self().accept()
    (tmp_path / "empty.zip").write_bytes(b"no zip")
    opened.host.dialogs.answers.append(str(tmp_path / "empty.zip"))
    opened.panel.ui.importContextButton.click()
    assert "no examples that can be used" in opened.host.dialogs.texts()[-1]
    assert opened.panel.ui.contextListWidget.count == 1 and opened.host.exceptions == []
