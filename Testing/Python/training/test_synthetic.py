"""Tasks without labels: superpixels and made-up shapes."""

import numpy as np
import torch
from MultiverSegLib.training.synthetic import cached_superpixels, pick_superpixel, shape_task, superpixel_maps


def pictures(n=2):
    rng = np.random.default_rng(0)
    image = np.full((n, 128, 128), 40, np.uint8)
    image[:, 20:60, 30:80] = 200
    return image + rng.integers(0, 6, image.shape).astype(np.uint8)


def test_superpixels_follow_the_edges():
    labels = superpixel_maps(pictures(1), np.array([300.0]))[0]
    square = np.zeros((128, 128), bool)
    square[20:60, 30:80] = True
    inside, outside = set(labels[23:57, 33:77].ravel()), set(labels[~square].ravel())
    best = max(2 * (np.isin(labels, [c]) & square).sum() / ((labels == c).sum() + square.sum()) for c in inside)
    assert best > 0.9 and outside - inside


def test_maps_are_cached_by_content(tmp_path):
    first = cached_superpixels(pictures(), tmp_path, per_image=2)
    files = list(tmp_path.iterdir())
    assert first.shape == (2, 2, 128, 128) and len(files) == 1
    stamp = files[0].stat().st_mtime_ns
    assert (cached_superpixels(pictures(), tmp_path, per_image=2) == first).all() and files[0].stat().st_mtime_ns == stamp
    cached_superpixels(255 - pictures(), tmp_path, per_image=2)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_usable_superpixel_is_picked():
    labels = np.zeros((128, 128), np.uint16)
    labels[:3, :3] = 1
    labels[50:70, 50:70] = 2
    for seed in range(20):
        mask = pick_superpixel(labels, np.random.default_rng(seed))
        assert mask.sum() == 400, "neither the speck nor the background"
    assert pick_superpixel(np.zeros((8, 8), np.uint16), np.random.default_rng(0)).all()


def test_shape_tasks_are_repeatable_varied_and_in_range():
    one, again = (shape_task(4, 64, torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one[0], again[0]) and torch.equal(one[1], again[1])
    places = set()
    for seed in range(40):
        images, labels = shape_task(3, 64, torch.Generator().manual_seed(seed))
        assert images.shape == labels.shape == (3, 64, 64)
        assert images.min() >= 0 and images.max() <= 1 and torch.isfinite(images).all()
        assert labels.any() and set(labels.unique().tolist()) <= {0.0, 1.0}
        assert not torch.equal(images[0], images[1]), "every copy is imaged anew"
        places.add(bool((labels[0] == labels[1]).all()))
    assert places == {True, False}, "half of the tasks keep their place, half don't"


def test_a_shape_tasks_label_has_an_appearance_of_its_own():
    """What makes the context useful: intensities inside and outside differ in the same way across the copies."""
    agree = []
    for seed in range(60):
        images, labels = shape_task(4, 64, torch.Generator().manual_seed(seed))
        if not labels.flatten(1).any(1).all() or labels.flatten(1).all(1).any():
            continue
        difference = torch.stack([i[m > 0].mean() - i[m == 0].mean() for i, m in zip(images, labels, strict=True)])
        agree.append(float((difference.sign() == difference.sum().sign()).float().mean()))
    assert np.mean(agree) > 0.85
