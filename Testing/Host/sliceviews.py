"""Slice views: Qt widgets around the real slice logic, displayable managers and interactor style, rendered off-screen by Mesa.

Events reach a view as in the application: a key press goes to the Qt widget first, so that shortcuts see it; what they leave, and every
mouse event, is invoked on the view's vtkRenderWindowInteractor. Positions are pixels from the view's lower left corner, like VTK's.
"""

from __future__ import annotations

import os

os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")  # before the first window, else VTK looks for an X server

import slicer
import vtk
import vtkmodules.vtkInteractionStyle
import vtkmodules.vtkRenderingContextOpenGL2
import vtkmodules.vtkRenderingFreeType
import vtkmodules.vtkRenderingOpenGL2  # noqa: F401  (these four register factories)
from PySide6 import QtCore, QtGui, QtWidgets
from vtk.util.numpy_support import vtk_to_numpy

from .citations import CTK, SLICER, cpp
from .mrmlwidgets import qMRMLWidget
from .properties import stored

_WIDGETS = "Libs/MRML/Widgets/"
_MANAGERS = (
    "vtkMRMLVolumeGlyphSliceDisplayableManager",
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
    "vtkMRMLCrosshairDisplayableManager",
    "vtkMRMLOrientationMarkerDisplayableManager",
    "vtkMRMLRulerDisplayableManager",
)


class ctkVTKAbstractView(QtWidgets.QWidget):
    cpp = cpp(
        CTK,
        "Libs/Visualization/VTK/Widgets/ctkVTKAbstractView.h",
        "cornerAnnotationText renderEnabled",
        "scheduleRender forceRender setRenderEnabled setCornerAnnotationText renderWindow interactor interactorStyle cornerAnnotation",
    )
    renderEnabled = stored(bool, "renderEnabled", True)
    cornerAnnotationText = stored(str, "cornerAnnotationText", "", "_annotate")

    def setRenderEnabled(self, on):
        self.renderEnabled = on

    def setCornerAnnotationText(self, text):
        self.cornerAnnotationText = text

    def _annotate(self):
        self._annotation.SetText(2, self.cornerAnnotationText)
        self.scheduleRender()


class qMRMLSliceView(ctkVTKAbstractView):
    """The picture of one slice node, with the application's displayable managers in it."""

    cpp = cpp(
        SLICER,
        _WIDGETS + "qMRMLSliceView.h",
        "",
        "addDisplayableManager getDisplayableManagers displayableManagerByClassName mrmlSliceNode interactorObserver"
        " convertDeviceToXYZ convertRASToXYZ convertXYZToRAS setViewCursor unsetViewCursor setDefaultViewCursor setMRMLScene setMRMLSliceNode",
    )

    painting = False  # whether paint events render: costs much, and only pictures of the window need it

    def __init__(self, logic, application_logic, parent=None):
        super().__init__(parent)
        self.setFocusPolicy(QtCore.Qt.FocusPolicy.StrongFocus)
        self.setMinimumSize(80, 80)
        self._logic, self._picture, self.renders = logic, None, 0
        self._window = vtk.vtkRenderWindow()
        self._window.SetOffScreenRendering(1)
        self._window.SetMultiSamples(0)
        self._renderer = vtk.vtkRenderer()
        self._renderer.GetActiveCamera().ParallelProjectionOn()
        self._window.AddRenderer(self._renderer)
        self._interactor = vtk.vtkRenderWindowInteractor()
        self._interactor.SetRenderWindow(self._window)
        self._group = slicer.vtkMRMLDisplayableManagerGroup()
        self._group.SetRenderer(self._renderer)
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        factory.SetMRMLApplicationLogic(application_logic)
        for name in _MANAGERS:
            if not factory.IsDisplayableManagerRegistered(name):
                factory.RegisterDisplayableManager(name)
        self._interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self._observer = slicer.vtkMRMLSliceViewInteractorStyle()
        self._observer.SetSliceLogic(logic)
        self._group.Initialize(factory, self._renderer)
        self._observer.SetDisplayableManagers(self._group)
        self._observer.SetInteractor(self._interactor)
        self._group.SetMRMLDisplayableNode(logic.GetSliceNode())
        self._group.AddObserver("UpdateEvent", lambda *_: self.scheduleRender())
        self._mapper, self._actor = vtk.vtkImageMapper(), vtk.vtkActor2D()
        self._mapper.SetColorWindow(255)
        self._mapper.SetColorLevel(127.5)
        self._actor.SetMapper(self._mapper)
        self._actor.GetProperty().SetDisplayLocationToBackground()
        self._annotation = vtk.vtkCornerAnnotation()
        self._renderer.AddViewProp(self._annotation)
        self._timer = QtCore.QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.timeout.connect(self.update)
        self._resize()

    # ---- size and rendering ----
    def _resize(self):
        width, height = max(self.width(), 1), max(self.height(), 1)
        self._window.SetSize(width, height)
        self._interactor.SetSize(width, height)
        self._logic.ResizeSliceNode(width, height)
        self._picture = None

    def resizeEvent(self, event):
        super().resizeEvent(event)
        self._resize()

    def scheduleRender(self):
        self._picture = None
        if self.renderEnabled and self.isVisible() and not self._timer.isActive():
            self._timer.start(0)

    def forceRender(self):
        self._picture = None
        self.pixels()

    def pixels(self):
        """The rendered view as uint8 [row, col, 3], first row on top."""
        connection = self._logic.GetImageDataConnection()
        if connection is not None:
            self._mapper.SetInputConnection(connection)
            if not self._renderer.HasViewProp(self._actor):
                self._renderer.AddViewProp(self._actor)
        elif self._renderer.HasViewProp(self._actor):
            self._renderer.RemoveViewProp(self._actor)
        self._window.Render()
        self.renders += 1
        grabber = vtk.vtkWindowToImageFilter()
        grabber.SetInput(self._window)
        grabber.ReadFrontBufferOff()
        grabber.Update()
        image = grabber.GetOutput()
        columns, rows, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(rows, columns, -1)[::-1].copy()

    def paintEvent(self, event):
        if self._picture is None and qMRMLSliceView.painting:
            pixels = self.pixels()
            rows, columns = pixels.shape[:2]
            self._picture = QtGui.QImage(pixels.tobytes(), columns, rows, 3 * columns, QtGui.QImage.Format.Format_RGB888).copy()
        painter = QtGui.QPainter(self)
        painter.fillRect(self.rect(), QtCore.Qt.GlobalColor.black)
        if self._picture is not None:
            painter.drawImage(self.rect(), self._picture)

    # ---- what the header declares ----
    def renderWindow(self):
        return self._window

    def interactor(self):
        return self._interactor

    def interactorStyle(self):
        return self._interactor.GetInteractorStyle()

    def interactorObserver(self):
        return self._observer

    def cornerAnnotation(self):
        return self._annotation

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def setMRMLScene(self, scene):
        self._logic.SetMRMLScene(scene)

    def setMRMLSliceNode(self, node):
        self._logic.SetSliceNode(node)
        self._group.SetMRMLDisplayableNode(node)

    def addDisplayableManager(self, name):
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        if not factory.IsDisplayableManagerRegistered(name):
            factory.RegisterDisplayableManager(name)

    def displayableManagerByClassName(self, name):
        return self._group.GetDisplayableManagerByClassName(name)

    def getDisplayableManagers(self, collection):
        for index in range(self._group.GetDisplayableManagerCount()):
            collection.AddItem(self._group.GetNthDisplayableManager(index))

    def convertDeviceToXYZ(self, xy):
        return [float(xy[0]), float(xy[1]), 0.0]

    def convertXYZToRAS(self, xyz):
        return list(self.mrmlSliceNode().GetXYToRAS().MultiplyPoint((*xyz, 1)))[:3]

    def convertRASToXYZ(self, ras):
        inverse = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.mrmlSliceNode().GetXYToRAS(), inverse)
        return list(inverse.MultiplyPoint((*ras, 1)))[:3]

    def setViewCursor(self, cursor):
        self.setCursor(cursor)

    def unsetViewCursor(self):
        self.unsetCursor()

    def setDefaultViewCursor(self, cursor):
        self.setCursor(cursor)

    # ---- keys ----
    def keyPressEvent(self, event):
        self._send_key(event, "KeyPressEvent")

    def keyReleaseEvent(self, event):
        self._send_key(event, "KeyReleaseEvent")

    def _send_key(self, event, name):
        modifiers, kind = event.modifiers(), QtCore.Qt.KeyboardModifier
        control, shift = bool(modifiers & kind.ControlModifier), bool(modifiers & kind.ShiftModifier)
        text = event.text()
        symbol = text if len(text) == 1 and text.isalnum() else QtGui.QKeySequence(event.key()).toString()
        x, y = self._interactor.GetEventPosition()
        self._interactor.SetEventInformation(x, y, control, shift, text[:1] or "\0", 0, symbol)
        self._interactor.SetAltKey(bool(modifiers & kind.AltModifier))
        self._interactor.InvokeEvent(name)

    def close_view(self):
        """Take the view's VTK part down; the scene goes on without it."""
        self._group.SetMRMLDisplayableNode(None)
        self._observer.SetInteractor(None)
        self._observer.SetDisplayableManagers(None)
        self._window.Finalize()


class qMRMLSliceControllerWidget(qMRMLWidget):
    """The bar above a slice view: its letter and offset in its colour."""

    cpp = cpp(SLICER, _WIDGETS + "qMRMLSliceControllerWidget.h", "", "mrmlSliceNode sliceLogic")

    def __init__(self, logic):
        super().__init__()
        self._logic = logic
        self._label = QtWidgets.QLabel()
        red, green, blue = (int(255 * part) for part in logic.GetSliceNode().GetLayoutColor())
        self._label.setStyleSheet(f"background: rgb({red},{green},{blue}); color: black; font-weight: bold;")
        layout = QtWidgets.QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._label)
        self.setFixedHeight(16)
        self._tag = logic.GetSliceNode().AddObserver("ModifiedEvent", lambda *_: self._update())
        self._update()

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def sliceLogic(self):
        return self._logic

    def _update(self):
        node = self.mrmlSliceNode()
        axis = {"Axial": "S", "Coronal": "A", "Sagittal": "R"}.get(node.GetOrientation(), "offset")
        self._label.setText(f" {node.GetLayoutLabel() or node.GetLayoutName()}      {axis}: {self._logic.GetSliceOffset():.2f} mm")

    def stop(self):
        self.mrmlSliceNode().RemoveObserver(self._tag)


class qMRMLSliceWidget(qMRMLWidget):
    """A slice view with its controller bar."""

    cpp = cpp(
        SLICER,
        _WIDGETS + "qMRMLSliceWidget.h",
        "sliceOrientation",
        "sliceController mrmlSliceNode sliceLogic mrmlSliceCompositeNode interactorStyle sliceView setMRMLSliceNode"
        " setSliceOrientation fitSliceToBackground",
    )

    def __init__(self, slice_node, host, parent=None):
        super().__init__(parent)
        self.setMRMLScene(host.scene)
        self._logic = slicer.vtkMRMLSliceLogic()
        self._logic.SetMRMLApplicationLogic(host.application_logic)
        host.application_logic.GetSliceLogics().AddItem(self._logic)
        self._logics = host.application_logic.GetSliceLogics()
        self._logic.SetMRMLScene(host.scene)
        self._logic.SetSliceNode(slice_node)
        slice_node.SetMappedInLayout(1)
        layout = QtWidgets.QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._bar = qMRMLSliceControllerWidget(self._logic)
        self._view = qMRMLSliceView(self._logic, host.application_logic, self)
        layout.addWidget(self._bar)
        layout.addWidget(self._view, 1)

    def sliceController(self):
        return self._bar

    def mrmlSliceNode(self):
        return self._logic.GetSliceNode()

    def sliceLogic(self):
        return self._logic

    def mrmlSliceCompositeNode(self):
        return self._logic.GetSliceCompositeNode()

    def sliceView(self):
        return self._view

    def interactorStyle(self):
        return self._view.interactorStyle()

    def setMRMLSliceNode(self, node):
        self._view.setMRMLSliceNode(node)

    def setSliceOrientation(self, orientation):
        self.mrmlSliceNode().SetOrientation(orientation)

    sliceOrientation = QtCore.Property(str, lambda self: self.mrmlSliceNode().GetOrientation(), setSliceOrientation)

    def fitSliceToBackground(self):
        self._logic.FitSliceToBackground()
        self._logic.SnapSliceOffsetToIJK()

    def close_view(self):
        self._bar.stop()
        self._view.close_view()
        self._logics.RemoveItem(self._logic)
        self._logic.SetMRMLScene(None)
