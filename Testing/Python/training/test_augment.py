"""Tables 4 and 5: the parameters are the paper's, and each operation does what its name says."""

import pytest
import torch
from MultiverSegLib.training.augment import SYNTHETIC, TASK, WITHIN_TASK, Augmentation

#: Transcribed from the paper's tables: operation -> (p, ranges).
TABLE_4 = {
    "affine": (0.8, {"degrees": (-25, 25), "translate": 0.2, "scale": (0.9, 1.5)}),
    "brightness_contrast": (0.5, {"brightness": (-0.1, 0.1), "contrast": (0.5, 1.5)}),
    "elastic": (0.8, {"alpha": (1, 10), "sigma": (8, 15)}),
    "sharpness": (0.5, {"sharpness": 5}),
    "blur": (0.5, {"sigma": (0.1, 1.5), "kernel": 5}),
    "noise": (0.5, {"mean": (0, 0.05), "std": (0, 0.05)}),
    "horizontal_flip": (0.5, {}),
    "vertical_flip": (0.5, {}),
}
TABLE_5A = {
    "affine": (0.25, {"degrees": (-25, 25), "translate": 0.1, "scale": (0.9, 1.1)}),
    "brightness_contrast": (0.25, {"brightness": (-0.1, 0.1), "contrast": (0.5, 1.5)}),
    "elastic": (0.8, {"alpha": (1, 2.5), "sigma": (7, 9)}),
    "sharpness": (0.25, {"sharpness": 5}),
    "blur": (0.25, {"sigma": (0.1, 1.0), "kernel": 5}),
    "noise": (0.25, {"mean": (0, 0.05), "std": (0, 0.05)}),
}
TABLE_5B = {
    "affine": (0.5, {"degrees": (0, 360), "translate": 0.2, "scale": (0.8, 1.1)}),
    "brightness_contrast": (0.5, {"brightness": (-0.1, 0.1), "contrast": (0.8, 1.2)}),
    "blur": (0.5, {"sigma": (0.1, 1.1), "kernel": 5}),
    "noise": (0.5, {"mean": (0, 0.05), "std": (0, 0.05)}),
    "elastic": (0.5, {"alpha": (1, 2), "sigma": (6, 8)}),
    "sharpness": (0.5, {"sharpness": 5}),
    "horizontal_flip": (0.5, {}),
    "vertical_flip": (0.5, {}),
    "sobel_label": (0.5, {}),
    "flip_intensities": (0.5, {}),
}
TABLES = [(SYNTHETIC, TABLE_4), (WITHIN_TASK, TABLE_5A), (TASK, TABLE_5B)]


@pytest.mark.parametrize(("ours", "paper"), TABLES)
def test_the_tables_are_the_papers(ours, paper):
    assert list(ours) == list(paper)
    for name, (p, ranges) in paper.items():
        assert ours[name] == {"p": p, **ranges}


@pytest.mark.parametrize(("ours", "paper"), TABLES)
def test_kornia_got_the_tables_probabilities_and_draws_within_the_ranges(ours, paper):
    augmentation = Augmentation(ours)
    for name, (p, ranges) in paper.items():
        operation = augmentation.operations[name]
        assert operation.p == p
        drawn = operation.forward_parameters(torch.Size((400, 1, 128, 128)))
        share = float(drawn["batch_prob"].float().mean())
        assert abs(share - p) < 0.1
        checks = {"degrees": "angle", "sharpness": "sharpness", "alpha": "alpha", "brightness": "brightness", "contrast": "contrast"}
        checks |= {"mean": "mean", "std": "std"} | ({"sigma": "sigma"} if name in ("elastic", "blur") else {})
        for key, parameter in checks.items():
            if key in ranges:
                low, high = ranges[key] if isinstance(ranges[key], tuple) else (0, ranges[key])
                values = drawn[parameter]
                assert float(values.min()) >= low - 1e-5 and float(values.max()) <= high + 1e-5
                assert float(values.max() - values.min()) > 0.8 * (high - low), f"{name}.{key} does not use its range"
        if name == "affine":
            assert float(drawn["translations"].abs().max()) <= ranges["translate"] * 128 + 1e-3
            assert ranges["scale"][0] - 1e-5 <= float(drawn["scale"].min()) and float(drawn["scale"].max()) <= ranges["scale"][1] + 1e-5


def phantom(n=2, channels=1, size=64):
    """A bright disk off centre with its label; texture so that intensity operations show."""
    r, c = torch.meshgrid(torch.arange(size).float(), torch.arange(size).float(), indexing="ij")
    label = (((r - 24) ** 2 + (c - 38) ** 2) < 12**2).float()
    image = 0.25 + 0.4 * label + 0.1 * torch.sin(r / 2) * torch.cos(c / 3)
    return image.expand(n, channels, -1, -1).clone(), label.expand(n, channels, -1, -1).clone()


def only(table, name):
    return Augmentation({name: {**table[name], "p": 1.0}})


GEOMETRIC = ["affine", "elastic", "horizontal_flip", "vertical_flip"]
INTENSITY = ["brightness_contrast", "sharpness", "blur", "noise", "flip_intensities"]


@pytest.mark.parametrize("name", GEOMETRIC)
def test_geometric_operations_move_image_and_label_together(name):
    torch.manual_seed(0)
    image, label = phantom(8)
    image = image * label  # nothing but the disk is bright, so the image shows where the disk went
    moved_image, moved_label = only(TASK, name)(image, label)
    assert (moved_label != label).any()
    inside = (moved_image * moved_label).sum() / moved_image.sum()
    assert inside > 0.93


@pytest.mark.parametrize("name", INTENSITY)
def test_intensity_operations_leave_labels_and_the_unit_range_alone(name):
    torch.manual_seed(0)
    image, label = phantom(4)
    changed, same = only(TASK, name)(image, label)
    assert (same == label).all()
    assert (changed - image).abs().max() > 1e-3
    assert float(changed.min()) >= 0 and float(changed.max()) <= 1


def test_flip_intensities_and_flips_are_exact():
    image, label = phantom(2)
    assert torch.allclose(only(TASK, "flip_intensities")(image, label)[0], 1 - image)
    assert torch.allclose(only(TASK, "horizontal_flip")(image, label)[0], image.flip(-1))
    assert torch.allclose(only(TASK, "vertical_flip")(image, label)[1], label.flip(-2))


def test_sobel_turns_a_label_into_its_outline_and_keeps_the_image():
    image, label = phantom(2)
    same, outline = only(TASK, "sobel_label")(image, label)
    assert torch.equal(same, image)
    eroded = -torch.nn.functional.max_pool2d(-label, 5, 1, 2)
    assert outline.any() and not (outline * eroded).any() and outline.sum() < label.sum()


def test_task_augmentation_is_one_draw_a_task_and_within_task_one_an_example():
    torch.manual_seed(1)
    image, label = phantom(3, channels=4)
    moved, _ = only(TASK, "affine")(image, label)
    for channel in range(1, 4):
        assert torch.allclose(moved[:, 0], moved[:, channel], atol=1e-5)
    assert not torch.allclose(moved[0], moved[1])
    flat, _ = only(WITHIN_TASK, "affine")(image.reshape(12, 1, 64, 64), label.reshape(12, 1, 64, 64))
    assert len({float(x.sum()) for x in flat}) > 6


def test_elastic_fields_are_as_strong_and_as_smooth_as_the_blurred_noise_they_stand_for():
    """Against kornia's own full-size blur: the same standard deviation and neighbourhood correlation of the displacement."""
    from kornia.filters import gaussian_blur2d
    from MultiverSegLib.training.augment import RandomElastic

    torch.manual_seed(0)
    x = torch.linspace(-1, 1, 128)[None, None, None].expand(60, 1, 128, 128).contiguous()
    found = (RandomElastic((2.0, 2.0), (8.0, 8.0), p=1.0)(x) - x)[..., 32:-32, 32:-32]
    noise = torch.rand(60, 1, 128, 128) * 2 - 1
    expected = (2.0 * gaussian_blur2d(noise, (49, 49), (8.0, 8.0), border_type="constant"))[..., 32:-32, 32:-32]
    assert float(found.std()) == pytest.approx(float(expected.std()), rel=0.15)

    def correlation(field, shift):
        return float((field[..., shift:] * field[..., :-shift]).mean() / field.square().mean())

    for shift in (4, 8, 12):
        assert correlation(found, shift) == pytest.approx(correlation(expected, shift), abs=0.1)


def test_elastic_displacements_scale_with_the_grid():
    """The same anatomy at half the resolution is deformed by half as many pixels."""
    torch.manual_seed(0)
    shifts = []
    for size in (128, 64):
        ramp = torch.linspace(-1, 1, size)[None, None, None].expand(40, 1, size, size).contiguous()
        moved = only(SYNTHETIC, "elastic").operations["elastic"](ramp)
        middle = slice(size // 4, -size // 4)
        shifts.append(float((moved - ramp)[..., middle, middle].std()))
    assert shifts[0] == pytest.approx(shifts[1], rel=0.25)
    assert 0.01 < shifts[0] < 0.2
