"""The host is as strict as PythonQt: what Slicer would refuse, it refuses."""

import functools

import pytest


@pytest.fixture
def qt(slicer_host):
    import qt

    return qt


def test_a_property_is_an_attribute_and_fails_when_called(qt):
    label = qt.QLabel("liver")
    assert label.text == "liver"
    with pytest.raises(TypeError, match="'str' object is not callable"):
        label.text()
    label.text = "spleen"
    assert label.text == "spleen"


def test_a_method_stays_a_method(qt):
    button = qt.QPushButton("go")
    button.setText("stop")
    assert button.text == "stop"
    assert button.isChecked() is False
    assert button.checked is False


def test_name_is_the_object_name(qt):
    button = qt.QPushButton()
    button.name = "applyButton"
    assert button.objectName == "applyButton"


@pytest.mark.parametrize("name", ["colour", "emit", "checkStateChanged", "_private"])
def test_reading_an_unknown_name_raises(qt, name):
    with pytest.raises(AttributeError):
        getattr(qt.QCheckBox(), name)


@pytest.mark.parametrize("name", ["colour", "setText", "clicked"])
def test_writing_an_unknown_name_a_method_or_a_signal_raises(qt, name):
    with pytest.raises(AttributeError):
        setattr(qt.QPushButton(), name, 1)


def test_unknown_names_of_the_modules_and_classes_raise(qt):
    import ctk
    import slicer

    for namespace, name in ((qt, "QNothing"), (ctk, "ctkNothing"), (qt.QLabel, "NoEnum"), (slicer.qMRMLNodeComboBox, "nothing")):
        with pytest.raises(AttributeError):
            getattr(namespace, name)
    with pytest.raises(AttributeError):
        qt.mine = 1


def test_public_cpp_methods_that_are_no_slots_are_hidden(slicer_host):
    import ctk
    import slicer

    button = ctk.ctkCollapsibleButton()
    button.collapsed = True
    with pytest.raises(AttributeError):
        button.setCollapsed(False)
    with pytest.raises(AttributeError):
        ctk.ctkSliderWidget().setRange(0, 1)
    for hidden in ("mainWindow", "bind"):  # the host has them, Slicer's Python has not
        assert callable(getattr(slicer_host.app, hidden))
        with pytest.raises(AttributeError):
            getattr(slicer.app, hidden)


def test_what_only_qt_6_has_is_hidden(qt):
    window = qt.QWidget()
    with pytest.raises(AttributeError):
        qt.QShortcut(qt.QKeySequence("b"), window).setKeys([])
    with pytest.raises(AttributeError):
        qt.QMouseEvent.position  # noqa: B018
    assert qt.QTextCursor().position() == -1


def test_keyword_arguments_are_refused(qt):
    with pytest.raises(TypeError):
        qt.QLabel(text="x")
    with pytest.raises(TypeError):
        qt.QLabel().setText(text="x")


def test_classes_do_not_inherit_from_each_other(qt):
    assert not isinstance(qt.QPushButton(), qt.QWidget)
    assert isinstance(qt.QPushButton(), qt.QPushButton)


def test_a_subclass_may_have_attributes_and_override_virtual_methods(qt):
    class Filter(qt.QObject):
        def eventFilter(self, watched, event):
            self.seen = event.type()
            return True

    box, spy = qt.QCheckBox(), Filter()
    box.installEventFilter(spy)
    qt.QApplication.sendEvent(box, qt.QEvent(qt.QEvent.ToolTip))
    assert spy.seen == qt.QEvent.ToolTip


def test_enums_are_numbers(qt):
    both = qt.Qt.AlignLeft | qt.Qt.AlignTop
    assert int(both) == int(qt.Qt.AlignLeft) + int(qt.Qt.AlignTop)
    slider = qt.QSlider()
    slider.orientation = qt.Qt.Horizontal
    assert slider.orientation == qt.Qt.Horizontal == 1


def test_signals_connect_both_ways_and_disconnect(qt):
    button, seen = qt.QPushButton(), []
    button.checkable = True
    button.connect("clicked(bool)", seen.append)
    button.clicked.connect(seen.append)
    button.click()
    assert seen == [True, True]
    assert button.disconnect("clicked(bool)", seen.append)
    button.click()
    assert seen == [True, True, False] or seen == [True, True]
    assert not button.disconnect("clicked(bool)", print)


def test_connecting_to_a_signal_that_does_not_exist_raises(qt):
    with pytest.raises(AttributeError, match="does not exist on QPushButton"):
        qt.QPushButton().connect("pressedHard(int)", print)
    with pytest.raises(AttributeError):
        qt.QPushButton().connect("clicked(int)", print)


def test_a_function_gets_as_many_arguments_as_it_declares(qt):
    button, seen = qt.QPushButton(), []
    button.checkable = True
    button.clicked.connect(lambda: seen.append("none"))
    button.clicked.connect(lambda which="default": seen.append(which))
    button.connect("clicked()", lambda which="default": seen.append(which))
    button.clicked.connect(functools.partial(lambda *args: seen.append(args), "bound"))
    button.click()
    assert seen == ["none", True, "default", ("bound", True)]


def test_an_exception_in_a_slot_is_collected(slicer_host, capsys):
    import qt

    button = qt.QPushButton()
    button.clicked.connect(lambda: 1 / 0)
    button.click()
    assert isinstance(slicer_host.exceptions.pop(), ZeroDivisionError)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_a_destroyed_object_says_so(qt):
    label = qt.QLabel("x")
    label.delete()
    assert not label
    with pytest.raises(ValueError, match="destroyed"):
        label.text  # noqa: B018


def test_children_are_found_by_class_and_by_name(qt):
    parent = qt.QWidget()
    child = qt.QCheckBox(parent)
    child.objectName = "box"
    assert parent.findChildren(qt.QWidget) == [child]
    assert parent.findChild("QCheckBox", "box") == child
    assert parent.box == child


def test_dynamic_properties(qt):
    widget = qt.QWidget()
    assert widget.property("SlicerParameterName") is None
    widget.setProperty("SlicerParameterName", "threshold")
    assert widget.SlicerParameterName == "threshold"


def test_dialogs_do_not_block(slicer_host):
    import qt
    import slicer

    slicer_host.dialogs.answers.extend(["/tmp/file.nrrd", qt.QMessageBox.No])
    assert qt.QFileDialog.getOpenFileName(None, "Choose") == "/tmp/file.nrrd"
    assert qt.QMessageBox.question(None, "Delete?", "Really?") == qt.QMessageBox.No
    slicer.util.errorDisplay("It went wrong")
    assert slicer_host.dialogs.texts() == ["Choose", "Really?", "It went wrong"]


def test_an_empty_layout_is_false_and_left_out_of_the_child_variables(qt):
    import slicer

    widget = qt.QWidget()
    layout = qt.QVBoxLayout(widget)
    layout.setObjectName("rows")
    assert not layout
    assert not hasattr(slicer.util.childWidgetVariables(widget), "rows")
    layout.addWidget(qt.QLabel("liver"))
    assert layout
    assert hasattr(slicer.util.childWidgetVariables(widget), "rows")
