"""What pyproject.toml can't say: Resources/ lies at the top of the clone and travels inside the package."""

from pathlib import Path

from setuptools import find_packages, setup

_RESOURCES = "MultiverSegLib.Resources"
_FILES = [str(file.relative_to("Resources")) for file in sorted(Path("Resources").rglob("*")) if file.is_file()]

setup(
    packages=[*find_packages("MultiverSegSlicer", include=["MultiverSegLib*"]), _RESOURCES],
    package_dir={"": "MultiverSegSlicer", _RESOURCES: "Resources"},
    package_data={_RESOURCES: _FILES, "MultiverSegLib": ["py.typed"]},
)
