"""The augmentations of MultiverSeg's tables 4 and 5, with kornia on batches, on any device.

Images and labels are stacked as the channels of one batch entry: kornia applies one draw of a geometric transform to all channels of an
entry, which is just what a *task* augmentation needs (one entry = one task, channels = its images), while a *within-task* augmentation
takes each image as an entry of its own. Sizes in the tables are pixels of a 128 x 128 image; on another grid they scale with it.
"""

from __future__ import annotations

from typing import Any

import kornia.augmentation as K
import torch
from kornia.augmentation import GeometricAugmentationBase2D, IntensityAugmentationBase2D
from kornia.augmentation import random_generator as rg
from kornia.filters import gaussian_blur2d, sobel
from torch import Tensor, nn
from torch.nn import functional as F

REFERENCE_SIZE = 128

#: Table 4: makes m + 1 examples of one synthetic task from copies of one example.
SYNTHETIC: dict[str, dict[str, Any]] = {
    "affine": {"p": 0.8, "degrees": (-25.0, 25.0), "translate": 0.2, "scale": (0.9, 1.5)},
    "brightness_contrast": {"p": 0.5, "brightness": (-0.1, 0.1), "contrast": (0.5, 1.5)},
    "elastic": {"p": 0.8, "alpha": (1.0, 10.0), "sigma": (8.0, 15.0)},
    "sharpness": {"p": 0.5, "sharpness": 5.0},
    "blur": {"p": 0.5, "sigma": (0.1, 1.5), "kernel": 5},
    "noise": {"p": 0.5, "mean": (0.0, 0.05), "std": (0.0, 0.05)},
    "horizontal_flip": {"p": 0.5},
    "vertical_flip": {"p": 0.5},
}
#: Table 5a: varies the examples of a task, each on its own.
WITHIN_TASK: dict[str, dict[str, Any]] = {
    "affine": {"p": 0.25, "degrees": (-25.0, 25.0), "translate": 0.1, "scale": (0.9, 1.1)},
    "brightness_contrast": {"p": 0.25, "brightness": (-0.1, 0.1), "contrast": (0.5, 1.5)},
    "elastic": {"p": 0.8, "alpha": (1.0, 2.5), "sigma": (7.0, 9.0)},
    "sharpness": {"p": 0.25, "sharpness": 5.0},
    "blur": {"p": 0.25, "sigma": (0.1, 1.0), "kernel": 5},
    "noise": {"p": 0.25, "mean": (0.0, 0.05), "std": (0.0, 0.05)},
}
#: Table 5b: changes the task, the same way for all its examples.
TASK: dict[str, dict[str, Any]] = {
    "affine": {"p": 0.5, "degrees": (0.0, 360.0), "translate": 0.2, "scale": (0.8, 1.1)},
    "brightness_contrast": {"p": 0.5, "brightness": (-0.1, 0.1), "contrast": (0.8, 1.2)},
    "blur": {"p": 0.5, "sigma": (0.1, 1.1), "kernel": 5},
    "noise": {"p": 0.5, "mean": (0.0, 0.05), "std": (0.0, 0.05)},
    "elastic": {"p": 0.5, "alpha": (1.0, 2.0), "sigma": (6.0, 8.0)},
    "sharpness": {"p": 0.5, "sharpness": 5.0},
    "horizontal_flip": {"p": 0.5},
    "vertical_flip": {"p": 0.5},
    "sobel_label": {"p": 0.5},
    "flip_intensities": {"p": 0.5},
}


class RandomElastic(GeometricAugmentationBase2D):
    """Elastic deformation with ``alpha`` (strength) and ``sigma`` (smoothness, pixels of a 128 grid) drawn from ranges for each entry.

    The field is uniform noise in -1..1, smoothed by a Gaussian and scaled by alpha, in normalised coordinates, as in kornia's
    ``elastic_transform2d``; that one takes a single alpha and sigma and smooths with a full 2D kernel, hundreds of times slower.
    """

    def __init__(self, alpha: tuple[float, float], sigma: tuple[float, float], p: float = 0.5) -> None:
        super().__init__(p=p)
        self.alpha, self.sigma = alpha, sigma
        self._param_generator = rg.PlainUniformGenerator(
            (torch.tensor(alpha), "alpha", None, None), (torch.tensor(sigma), "sigma", None, None)
        )

    def compute_transformation(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any]) -> Tensor:
        return self.identity_matrix(input)

    def apply_transform(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None) -> Tensor:
        n, _, height, width = input.shape
        ratio = width / REFERENCE_SIZE
        coarse = max(1, int(self.sigma[0] * ratio / 1.5))  # so smooth a field needs no finer grid
        shape = (n, 2, -(-height // coarse), -(-width // coarse))
        sigma = params["sigma"].to(input)[:, None].expand(n, 2) * ratio / coarse
        kernel = 2 * int(3 * self.sigma[1] * ratio / coarse) + 1
        noise = torch.rand(shape, device=input.device, dtype=input.dtype) * 2 - 1
        field = gaussian_blur2d(noise, (kernel, kernel), sigma, border_type="constant", separable=True)
        # The mean of coarse ** 2 noises has a coarse-th of one's standard deviation.
        field = field * (params["alpha"].to(input) * ratio / coarse)[:, None, None, None]
        if coarse > 1:
            field = F.interpolate(field, size=(height, width), mode="bicubic", align_corners=False)
        eye = torch.eye(2, 3, device=input.device, dtype=input.dtype).expand(n, 2, 3)
        grid = F.affine_grid(eye, [n, 1, height, width], align_corners=False) + field.permute(0, 2, 3, 1)
        return F.grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


class RandomBrightnessContrast(IntensityAugmentationBase2D):
    """``image * contrast + brightness``, clipped to 0..1; one draw decides on both."""

    def __init__(self, brightness: tuple[float, float], contrast: tuple[float, float], p: float = 0.5) -> None:
        super().__init__(p=p)
        self.brightness, self.contrast = brightness, contrast
        self._param_generator = rg.PlainUniformGenerator(
            (torch.tensor(brightness), "brightness", None, None), (torch.tensor(contrast), "contrast", None, None)
        )

    def apply_transform(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None) -> Tensor:
        contrast, brightness = (params[k].to(input)[:, None, None, None] for k in ("contrast", "brightness"))
        return (input * contrast + brightness).clamp(0, 1)


class RandomNoise(IntensityAugmentationBase2D):
    """Gaussian noise whose mean and standard deviation are drawn from ranges for each entry; the result is clipped to 0..1."""

    def __init__(self, mean: tuple[float, float], std: tuple[float, float], p: float = 0.5) -> None:
        super().__init__(p=p)
        self.mean, self.std = mean, std
        self._param_generator = rg.PlainUniformGenerator((torch.tensor(mean), "mean", None, None), (torch.tensor(std), "std", None, None))

    def apply_transform(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None) -> Tensor:
        mean, std = (params[k].to(input)[:, None, None, None] for k in ("mean", "std"))
        return (input + mean + std * torch.randn_like(input)).clamp(0, 1)


class RandomFlipIntensities(IntensityAugmentationBase2D):
    """``1 - image``."""

    def apply_transform(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None) -> Tensor:
        return 1 - input


class RandomSobelLabel(IntensityAugmentationBase2D):
    """Replaces a label by its edges (Sobel magnitude above 0): tasks of outlines."""

    def apply_transform(self, input: Tensor, params: dict[str, Tensor], flags: dict[str, Any], transform: Tensor | None = None) -> Tensor:
        return (sobel((input > 0.5).to(input), normalized=False, eps=0.0) > 0.5).to(input)


GEOMETRIC = ("affine", "elastic", "horizontal_flip", "vertical_flip")
LABEL = ("sobel_label",)


def _build(name: str, options: dict[str, Any]) -> nn.Module:
    o = dict(options)
    p = o.pop("p")
    if name == "affine":
        return K.RandomAffine(o["degrees"], (o["translate"],) * 2, o["scale"], p=p, padding_mode="zeros", align_corners=False)
    if name == "blur":
        return K.RandomGaussianBlur((o["kernel"],) * 2, o["sigma"], p=p)
    simple = {
        "elastic": RandomElastic,
        "brightness_contrast": RandomBrightnessContrast,
        "sharpness": K.RandomSharpness,
        "noise": RandomNoise,
        "horizontal_flip": K.RandomHorizontalFlip,
        "vertical_flip": K.RandomVerticalFlip,
        "sobel_label": RandomSobelLabel,
        "flip_intensities": RandomFlipIntensities,
    }
    return simple[name](**o, p=p)


class Augmentation(nn.Module):
    """A row of augmentations for images and labels [N, C, H, W] (labels 0..1; binary again on return).

    All channels of an entry get the same geometric draw and the same intensity parameters.

    Args:
        table: ``SYNTHETIC``, ``WITHIN_TASK`` or ``TASK``, or a part of one.
    """

    def __init__(self, table: dict[str, dict[str, Any]]) -> None:
        super().__init__()
        self.operations = nn.ModuleDict({name: _build(name, options) for name, options in table.items()})

    @torch.no_grad()
    def forward(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        channels = images.shape[1]
        for name, operation in self.operations.items():
            if name in GEOMETRIC:
                both = operation(torch.cat([images, labels], 1))
                images, labels = both[:, :channels], both[:, channels:]
            elif name in LABEL:
                labels = operation(labels)
            else:
                images = operation(images).clamp(0, 1)
        return images, (labels > 0.5).to(images)
