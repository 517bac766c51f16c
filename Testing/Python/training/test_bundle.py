"""The MONAI bundle: its metadata are valid, and `monai.bundle run` segments."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from MultiverSegLib.core.errors import MultiverSegError
from MultiverSegLib.core.families import build_network
from MultiverSegLib.core.models.checkpoints import save_checkpoint
from MultiverSegLib.core.models.loading import load_network
from MultiverSegLib.training.bundle import make_bundle
from MultiverSegLib.training.smoke import SMOKE


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    """A bundle of a small network with random weights, and an image with an example."""
    folder = tmp_path_factory.mktemp("bundle")
    torch.manual_seed(0)
    save_checkpoint(folder / "weights.pt", build_network({**SMOKE["model"], "reduce": 2}))
    root = make_bundle(folder / "compact", str(folder / "weights.pt"))
    rng = np.random.default_rng(0)
    for name in ("images/target.png", "context/images/a.png", "context/masks/a.png"):
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 255, (128, 128)) if "images" in name else (np.indices((128, 128))[0] > 60) * 255
        sitk.WriteImage(sitk.GetImageFromArray(pixels.astype(np.uint8)), str(path))
    return root


def test_metadata_are_verified_by_monai(bundle, tmp_path):
    from monai.bundle import verify_metadata

    schema = bundle / "metadata.schema.json"
    verify_metadata(meta_file=str(bundle / "configs" / "metadata.json"), filepath=str(schema))
    broken = json.loads((bundle / "configs" / "metadata.json").read_text())
    del broken["network_data_format"]["outputs"]
    (tmp_path / "broken.json").write_text(json.dumps(broken))
    with pytest.raises(ValueError, match="outputs"):
        verify_metadata(meta_file=str(tmp_path / "broken.json"), filepath=str(schema))


def test_monai_runs_it_and_the_result_is_the_networks(bundle):
    from monai.bundle import run

    clicks = {"positive": [[40, 90], [70, 20]], "negative": [[5, 5]]}
    run(config_file=str(bundle / "configs" / "inference.json"), bundle_root=str(bundle), **clicks)
    found = sitk.GetArrayFromImage(sitk.ReadImage(str(bundle / "eval" / "target_mask.png"))) > 0

    def read(name):
        return torch.from_numpy(sitk.GetArrayFromImage(sitk.ReadImage(str(bundle / "data" / name))).astype(np.float32))

    def unit(x):
        return (x - x.min()) / (x.max() - x.min())

    target = torch.zeros(1, 5, 128, 128)
    target[0, 0] = unit(read("images/target.png"))
    target[0, 2, 40, 90] = target[0, 2, 70, 20] = target[0, 3, 5, 5] = 1
    context = torch.zeros(1, 1, 5, 128, 128)
    context[0, 0, 0], context[0, 0, 1] = unit(read("context/images/a.png")), (read("context/masks/a.png") > 0).float()
    with torch.no_grad():
        expected = (load_network(bundle / "models" / "model.pt")(target, context)[0, 0] > 0).numpy()
    assert 0 < expected.mean() < 1, "a mask that says something"
    assert (found == expected).mean() > 0.999


def test_a_full_folder_and_an_unknown_model_are_refused(bundle, tmp_path):
    with pytest.raises(MultiverSegError, match="empty folder"):
        make_bundle(bundle)
    with pytest.raises(MultiverSegError, match="neither"):
        make_bundle(tmp_path / "new", "no-such-model")
