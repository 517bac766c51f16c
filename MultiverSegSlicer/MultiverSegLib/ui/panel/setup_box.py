"""The set-up box: is PyTorch there, which model, which device, where examples and weights are kept."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ...core.errors import MultiverSegError
from ..shared import contexts, service, settings, torch_setup
from ..shared.widgets import choose, told


class SetupBox:
    """``ui``: the named widgets of the panel. ``changed``: called after model, device or folder were changed."""

    def __init__(self, ui, changed) -> None:
        self.ui = ui
        self.changed = changed
        self._asking = False
        self._fill_devices()
        self._fill_models()
        ui.contextFolderLineEdit.currentPath = str(settings.contexts_folder())
        ui.weightsFolderLineEdit.text = str(service.registry().folder)
        ui.installTorchButton.connect("clicked()", self.install)
        ui.checkTorchButton.connect("clicked()", self.check)
        ui.modelComboBox.connect("activated(int)", self._model_chosen)
        ui.deviceComboBox.connect("activated(int)", self._device_chosen)
        ui.weightsFromFileButton.connect("clicked()", self.weights_from_file)
        # the line tells every text while it is typed: then the end of typing counts, and at once only what the dialog or the history gave
        (self.folder_text,) = slicer.util.findChildren(ui.contextFolderLineEdit, className="QLineEdit")
        ui.contextFolderLineEdit.connect("currentPathChanged(QString)", lambda path: self.folder_text.modified or self._folder_chosen())
        self.folder_text.connect("editingFinished()", self._folder_chosen)
        ui.openContextFolderButton.connect("clicked()", lambda: open_folder(contexts.shared().provider.folder))
        ui.openWeightsFolderButton.connect("clicked()", lambda: open_folder(service.registry().folder))
        ui.clearWeightsButton.connect("clicked()", self.clear_weights)
        ui.clearContextsButton.connect("clicked()", self.clear_contexts)
        self.show_presence()

    def _fill_devices(self) -> None:
        chosen, box = settings.value("Device"), self.ui.deviceComboBox
        box.addItem(_("Automatic"), "auto")
        box.addItem(_("CPU"), "cpu")
        if chosen.startswith("cuda"):
            box.addItem(chosen, chosen)  # its name is known when PyTorch was checked
        elif chosen not in ("auto", "cpu"):
            settings.set_value("Device", "auto")  # a device that an older version offered
        choose(box, settings.value("Device"))

    def show_presence(self) -> None:
        """Say whether PyTorch is there without importing it: that takes seconds and can wait for the first prediction."""
        if torch_setup.installed():
            self.ui.torchStatusLabel.text = _("PyTorch is installed. 'Check again' tests it and lists the devices.")
            self.ui.installTorchButton.setVisible(False)
        else:
            self.ui.torchStatusLabel.text = torch_setup.diagnose().text
            self.ui.installTorchButton.setVisible(True)
            self.ui.setupCollapsibleButton.collapsed = False

    def check(self) -> None:
        self._show(torch_setup.diagnose())

    def install(self) -> None:
        """Only from its button: asks, then installs."""
        message = _("PyTorch could not be installed. See the troubleshooting page of the documentation.")
        with suppress(Exception), slicer.util.tryWithErrorDisplay(message, waitCursor=True):  # pip can fail in any way; it was shown
            self._show(torch_setup.install(lambda question: slicer.util.confirmYesNoDisplay(question, _("Install PyTorch"))))
        self.changed()

    def _show(self, status) -> None:
        self.ui.torchStatusLabel.text = status.text
        self.ui.installTorchButton.setVisible(not status.ready)
        box = self.ui.deviceComboBox
        for name in status.devices:
            device = name.rsplit("(", 1)[1].rstrip(")") if "(" in name else ""
            if device and box.findData(device) >= 0:
                box.setItemText(box.findData(device), name)
            elif device:
                box.addItem(name, device)

    def _fill_models(self) -> None:
        box = self.ui.modelComboBox
        box.clear()
        for model in service.registry().list():
            box.addItem(model.title, model.name)
        choose(box, settings.value("Model"))

    def _model_chosen(self, index) -> None:
        name = str(self.ui.modelComboBox.itemData(index) or "")
        if not name or name == settings.value("Model"):
            return
        if not service.registry().available(name):
            choose(self.ui.modelComboBox, settings.value("Model"))
            self._offer_download(name)
            return
        self._use(name)

    def _use(self, name: str) -> None:
        settings.set_value("Model", name)
        service.reset()
        self._fill_models()
        self.changed()

    def _offer_download(self, name: str) -> None:
        """The weights are not on this computer: download them if the user says so. Nothing is sent or fetched without that."""
        model = service.registry().get(name)
        if not model.url:
            slicer.util.infoDisplay(
                _("The weights of {title} are not here. Load them with the button beside the list.").format(title=model.title)
            )
            return
        question = _("Download the weights of {title} from {url}? Licence: {licence}. They are checked and kept in {folder}.")
        folder = service.registry().folder
        text = question.format(title=model.title, url=model.url, licence=model.licence or _("see the source"), folder=folder)
        if not slicer.util.confirmYesNoDisplay(text, _("Download weights")):
            return
        self.ui.torchStatusLabel.text = _("Downloading {title}…").format(title=model.title)
        service.shared().submit(service.registry().fetch, name, lambda outcome: self._downloaded(name, outcome))

    def _downloaded(self, name: str, outcome) -> None:
        if isinstance(outcome, Exception):
            self.ui.torchStatusLabel.text = str(outcome)
            return
        self.show_presence()
        self._use(name)

    def _device_chosen(self, index) -> None:
        device = self.ui.deviceComboBox.itemData(index)
        if device and str(device) != settings.value("Device"):
            settings.set_value("Device", str(device))
            service.reset()
            self.changed()

    def weights_from_file(self) -> None:
        path = qt.QFileDialog.getOpenFileName(self.ui.modelComboBox, _("Weights"), "", _("Weights") + " (*.pt *.pth *.ckpt)")
        path = path[0] if isinstance(path, tuple | list) else path
        if not path:
            return
        try:
            name = service.registry().add_file(Path(str(path)))
        except MultiverSegError as error:
            slicer.util.errorDisplay(str(error))
            return
        self._use(name)

    def _folder_chosen(self) -> None:
        """Use the folder in the line; one that does not exist is made, if the user says so. Else the line shows again what is used."""
        if self._asking:
            return  # the question took the focus from the line
        line, before = self.ui.contextFolderLineEdit, settings.contexts_folder()
        text = str(line.currentPath).strip()
        folder = Path(text).expanduser()
        self.folder_text.modified = False
        if not text or folder == before:
            return
        self._asking = True
        try:
            usable = self._usable(folder)
        finally:
            self._asking = False
        if usable:
            settings.set_value("ContextsFolder", str(folder))
            self.changed()
        else:
            line.currentPath = str(before)

    def _usable(self, folder: Path) -> bool:
        if folder.is_dir():
            return True
        question = _("The folder {folder} does not exist. Make it, and keep examples there?").format(folder=folder)
        if not slicer.util.confirmYesNoDisplay(question, _("Folder of the contexts")):
            return False
        with told(_("The folder could not be made.")):
            folder.mkdir(parents=True)
        return folder.is_dir()

    def clear_weights(self) -> None:
        folder = service.registry().folder
        if slicer.util.confirmYesNoDisplay(_("Delete the downloaded weights in {folder}?").format(folder=folder), _("Clear weights")):
            service.registry().clear()
            settings.set_value("Model", settings.DEFAULTS["Model"])
            service.reset()
            self._fill_models()

    def clear_contexts(self) -> None:
        """Deletes the user's own examples, if the user says yes; those of cohorts belong to their cohorts."""
        shared = contexts.shared()
        with told(_("The examples could not be deleted.")):
            counts = shared.own.counts()
            if not counts:
                slicer.util.infoDisplay(_("There are no examples in {folder}.").format(folder=shared.own.folder))
                return
            question = _("Delete all examples in {folder}? This can't be undone. Cohorts keep theirs.\n\n{list}").format(
                folder=shared.own.folder, list="\n".join(f"{name}: {count}" for name, count in counts.items())
            )
            if slicer.util.confirmYesNoDisplay(question, _("Clear contexts")):
                try:
                    shared.own.clear()
                finally:
                    shared.changed.emit()


def open_folder(folder) -> None:
    """Show a folder in the file manager, making it first."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))
