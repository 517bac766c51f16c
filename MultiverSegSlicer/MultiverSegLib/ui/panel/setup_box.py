"""The set-up box: is PyTorch there, which model, which device, where examples and weights are kept."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from ...core.errors import MultiverSegError
from ..shared import service, settings, torch_setup
from ..shared.widgets import choose


class SetupBox:
    """``ui``: the named widgets of the panel. ``changed``: called after model, device or folder were changed."""

    def __init__(self, ui, changed) -> None:
        self.ui = ui
        self.changed = changed
        ui.deviceComboBox.addItem(_("Automatic"), "auto")
        ui.deviceComboBox.addItem(_("CPU"), "cpu")
        choose(ui.deviceComboBox, settings.value("Device"))
        self._fill_models()
        ui.contextFolderLineEdit.currentPath = str(settings.contexts_folder())
        ui.weightsFolderLabel.text = str(service.registry().folder)
        ui.installTorchButton.connect("clicked()", self.install)
        ui.checkTorchButton.connect("clicked()", self.check)
        ui.modelComboBox.connect("activated(int)", self._model_chosen)
        ui.deviceComboBox.connect("activated(int)", self._device_chosen)
        ui.weightsFromFileButton.connect("clicked()", self.weights_from_file)
        ui.contextFolderLineEdit.connect("currentPathChanged(QString)", self._folder_chosen)
        ui.openContextFolderButton.connect("clicked()", lambda: open_folder(settings.contexts_folder()))
        ui.openWeightsFolderButton.connect("clicked()", lambda: open_folder(service.registry().folder))
        ui.clearWeightsButton.connect("clicked()", self.clear_weights)
        self.timer = qt.QTimer()
        self.timer.setInterval(100)
        self.timer.connect("timeout()", lambda: service.shared().poll())
        self.show_presence()

    def close(self) -> None:
        """The panel is about to be destroyed."""
        self.timer.stop()

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
        with slicer.util.tryWithErrorDisplay(
            _("PyTorch could not be installed. See the troubleshooting page of the documentation."), waitCursor=True
        ):
            self._show(torch_setup.install(lambda question: slicer.util.confirmYesNoDisplay(question, _("Install PyTorch"))))
            self.changed()

    def _show(self, status) -> None:
        self.ui.torchStatusLabel.text = status.text
        self.ui.installTorchButton.setVisible(not status.ready)
        for name in status.devices:
            if "(" in name and self.ui.deviceComboBox.findText(name) < 0:
                self.ui.deviceComboBox.addItem(name, name.rsplit("(", 1)[1].rstrip(")"))

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
        self.timer.start()

    def _downloaded(self, name: str, outcome) -> None:
        self.timer.stop()
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

    def _folder_chosen(self, path) -> None:
        settings.set_value("ContextsFolder", str(path))
        self.changed()

    def clear_weights(self) -> None:
        folder = service.registry().folder
        if slicer.util.confirmYesNoDisplay(_("Delete the downloaded weights in {folder}?").format(folder=folder), _("Clear weights")):
            service.registry().clear()
            settings.set_value("Model", settings.DEFAULTS["Model"])
            service.reset()
            self._fill_models()


def open_folder(folder) -> None:
    """Show a folder in the file manager, making it first."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(str(folder)))
