"""What a camera does to an image: resolution, blur, exposure, colours, noise, compression.

Every step is a function of a batch; `sensor_chain` applies them in an order that changes from batch
to batch, each one to a random share of the images.

Reference: probabilities and ranges start from those of CosyPose, GDR-Net and MoGe; factors that
would clip most of a small image were narrowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from kp3d_core.data.augmentation.jpeg import jpeg
from kp3d_core.data.draws import BatchDraws

Images = Float[Tensor, "num 3 H W"]

_RADIUS = 4
"""Half width of blur kernels [px]: 3 standard deviations of the widest one, and then some."""


@dataclass(frozen=True)
class Sensor:
    """How often and how far the camera's faults are imitated. Pairs are bounds."""

    probability: float = 0.0
    """Share of views that go through the chain; 0 leaves all as they are. Typical: 0.8. The other
    probabilities are shares of the views that go through it."""
    resample_probability: float = 0.5
    """Share that is shrunk and enlarged again."""
    resample: tuple[float, float] = (0.25, 1.0)
    """Resolution in between, relative to the image's; log-uniform."""
    blur_probability: float = 0.4
    """Share that is out of focus: a Gaussian blur."""
    blur_sigma_px: tuple[float, float] = (0.0, 1.2)
    """Its standard deviation."""
    motion_probability: float = 0.15
    """Share with motion blur, straight in any direction."""
    motion_px: tuple[float, float] = (2.0, 7.0)
    """Length of the path during the exposure."""
    exposure_probability: float = 0.5
    """Share that is over- or underexposed."""
    exposure: tuple[float, float] = (0.4, 2.5)
    """Factor on all channels; log-uniform."""
    contrast_probability: float = 0.4
    """Share with another contrast."""
    contrast: tuple[float, float] = (0.4, 2.5)
    """Factor on the distance from the image's mean; log-uniform."""
    channel_probability: float = 0.5
    """Share with another white balance."""
    channel: tuple[float, float] = (0.6, 1.4)
    """Factor on each channel."""
    offset_probability: float = 0.3
    """Share with another black level."""
    offset: float = 25 / 255
    """Largest value added to each channel, up or down."""
    saturation_probability: float = 0.4
    """Share with paler or stronger colours."""
    saturation: tuple[float, float] = (0.0, 2.5)
    """Factor on the distance from grey; half of the images lie between the lower bound and 1."""
    hue_probability: float = 0.3
    """Share with other hues."""
    hue: float = 0.05
    """Largest turn of the colour circle, in turns."""
    gamma_probability: float = 0.5
    """Share with another response curve."""
    gamma: tuple[float, float] = (0.7, 1.4)
    """Exponent; log-uniform."""
    poisson_probability: float = 0.5
    """Share with photon noise."""
    poisson_photons: tuple[float, float] = (100.0, 10000.0)
    """Photons that make white; log-uniform. 100 is a noise of 10 % there."""
    noise_probability: float = 0.2
    """Share with Gaussian noise."""
    noise: float = 10 / 255
    """Its largest standard deviation."""
    sharpen_probability: float = 0.2
    """Share that is sharpened by an unsharp mask."""
    sharpen: float = 3.0
    """Largest share of the mask."""
    jpeg_probability: float = 0.4
    """Share that is compressed."""
    jpeg_quality: tuple[float, float] = (20.0, 100.0)
    """Quality as libjpeg counts it."""
    cutout_probability: float = 0.1
    """Share in which cells of a 20 x 20 grid are filled with a plain colour."""
    cutout: float = 0.2
    """Largest share of the cells."""

    def __post_init__(self) -> None:
        """Report all impossible settings at once."""
        problems = []
        for name, value in vars(self).items():
            if name.endswith("probability") and not 0 <= value <= 1:
                problems.append(f"{name} must be in [0, 1], got {value}")
            elif isinstance(value, tuple | list) and not 0 <= value[0] <= value[1]:
                problems.append(f"{name} must be two bounds, the lower one first, got {value}")
        if min(self.resample[0], self.exposure[0], self.contrast[0], self.gamma[0]) <= 0:
            problems.append("resample, exposure, contrast and gamma must be positive")
        if problems:
            raise ValueError("Sensor settings are wrong: " + "; ".join(problems) + ".")


Step = Callable[[Images, Sensor, BatchDraws], Images]


def sensor_chain(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    """Images in 0..1 as a camera with random faults would have taken them."""
    gated, some = draws.choose(settings.probability)
    if len(gated) == 0:
        return images
    changed = images[gated]
    steps = list(_STEPS)
    for number in some.common_order(len(steps)):
        name = steps[number]
        index, chosen = some.choose(getattr(settings, f"{name}_probability"))
        if len(index):
            after = _STEPS[name](changed[index], settings, chosen)
            changed = changed.index_copy(0, index, after.clamp(0, 1))
    return images.index_copy(0, gated, changed)


def _log_uniform(bounds: tuple[float, float], draws: BatchDraws) -> Tensor:
    """(num, 1, 1, 1)."""
    return torch.exp(draws.uniform(1, 1, 1, low=math.log(bounds[0]), high=math.log(bounds[1])))


def _between(bounds: tuple[float, float], draws: BatchDraws, *shape: int) -> Tensor:
    return draws.uniform(*shape, low=bounds[0], high=bounds[1])


def _resample(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    """One resolution for a third of the images each, so that they stay batches."""
    height, width = images.shape[-2:]
    low, high = (math.log(bound) for bound in settings.resample)
    group = draws.integers(3, 1, 1, 1)
    result = images
    for number in range(3):
        factor = math.exp(low + (high - low) * draws.common_integer(0, 1001) / 1000)
        size = [max(1, round(side * factor)) for side in (height, width)]
        small = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        mode = ("bilinear", "bicubic")[draws.common_integer(0, 2)]
        large = F.interpolate(small, (height, width), mode=mode, align_corners=False)
        result = torch.where(group == number, large, result)
    return result


def _convolve(images: Images, kernels: Float[Tensor, "num k k"]) -> Images:
    """Convolve each image with its own kernel."""
    num, channels, height, width = images.shape
    radius = kernels.shape[-1] // 2
    padded = F.pad(images, (radius,) * 4, mode="replicate").flatten(0, 1)[None]
    weight = kernels[:, None].repeat_interleave(channels, 0)
    return F.conv2d(padded, weight, groups=num * channels)[0].unflatten(0, (num, channels))


def _gaussian(sigma: Float[Tensor, " num"]) -> Float[Tensor, "num k k"]:
    x = torch.arange(-_RADIUS, _RADIUS + 1, device=sigma.device)
    line = torch.exp(-0.5 * (x / sigma.clamp_min(1e-3)[:, None]) ** 2)
    line = line / line.sum(-1, keepdim=True)
    return line[:, :, None] * line[:, None, :]


def _blur(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    return _convolve(images, _gaussian(_between(settings.blur_sigma_px, draws)))


def _motion(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    """Straight motion: a line of the given length, one pixel wide."""
    angle = draws.uniform(high=math.pi)[:, None, None]
    half = _between(settings.motion_px, draws)[:, None, None] / 2
    x = torch.arange(-_RADIUS, _RADIUS + 1, device=images.device, dtype=images.dtype)
    along = angle.cos() * x + angle.sin() * x[:, None]
    across = angle.cos() * x[:, None] - angle.sin() * x
    kernel = (half + 0.5 - along.abs()).clamp(0, 1) * (1 - across.abs()).clamp_min(0)
    return _convolve(images, kernel / kernel.sum((-2, -1), keepdim=True))


def _sharpen(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    blurred = _convolve(images, _gaussian(draws.uniform(low=0.5, high=1.5)))
    return images + draws.uniform(1, 1, 1, high=settings.sharpen) * (images - blurred)


def _exposure(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    return images * _log_uniform(settings.exposure, draws)


def _contrast(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + _log_uniform(settings.contrast, draws) * (images - mean)


def _channel(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    return images * _between(settings.channel, draws, 3, 1, 1)


def _offset(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    return images + draws.uniform(3, 1, 1, low=-settings.offset, high=settings.offset)


def grey(images: Images) -> Float[Tensor, "num 1 H W"]:
    """Luma of Rec. 601."""
    weights = images.new_tensor([0.299, 0.587, 0.114])
    return (images * weights[:, None, None]).sum(1, keepdim=True)


def _saturation(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    low, high = settings.saturation
    position = draws.uniform(1, 1, 1, low=-1.0)
    factor = torch.where(position < 0, 1 + position * (1 - low), 1 + position * (high - 1))
    luma = grey(images)
    return luma + factor * (images - luma)


def _hue(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    """Turn colours about the grey axis (Rodrigues)."""
    angle = 2 * math.pi * draws.uniform(1, 1, 1, low=-settings.hue, high=settings.hue)
    mean = images.mean(1, keepdim=True)
    cross = (images.roll(1, 1) - images.roll(-1, 1)) / math.sqrt(3)  # (1, 1, 1) x color
    return mean + angle.cos() * (images - mean) + angle.sin() * cross


def _gamma(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    return images.clamp_min(1e-6) ** _log_uniform(settings.gamma, draws)


def _poisson(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    """Photon noise in its Gaussian limit: its variance grows with the brightness."""
    photons = _log_uniform(settings.poisson_photons, draws)
    return images + (images / photons).sqrt() * draws.normal(*images.shape[1:])


def _noise(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    strength = draws.uniform(1, 1, 1, high=settings.noise)
    return images + strength * draws.normal(*images.shape[1:])


def _jpeg(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    return jpeg(images, _between(settings.jpeg_quality, draws))


def _cutout(images: Images, settings: Sensor, draws: BatchDraws) -> Images:
    cells = draws.uniform(1, 20, 20) < draws.uniform(1, 1, 1, high=settings.cutout)
    hidden = F.interpolate(cells.to(images.dtype), images.shape[-2:], mode="nearest")
    return torch.lerp(images, draws.uniform(3, 1, 1).expand_as(images), hidden)


_STEPS: dict[str, Step] = {
    "resample": _resample,
    "blur": _blur,
    "motion": _motion,
    "exposure": _exposure,
    "contrast": _contrast,
    "channel": _channel,
    "offset": _offset,
    "saturation": _saturation,
    "hue": _hue,
    "gamma": _gamma,
    "poisson": _poisson,
    "noise": _noise,
    "sharpen": _sharpen,
    "jpeg": _jpeg,
    "cutout": _cutout,
}
