"""The camera's faults: each against a value that another tool or a hand computation gives."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from kp3d_core.data.augmentation import sensor
from kp3d_core.data.augmentation.jpeg import jpeg
from kp3d_core.data.augmentation.sensor import Sensor, sensor_chain
from kp3d_core.data.draws import BatchDraws

STEPS = tuple(sensor._STEPS)
NOTHING = Sensor(probability=1.0, **{f"{name}_probability": 0.0 for name in STEPS})


def only(name, **settings):
    return replace(NOTHING, **{f"{name}_probability": 1.0}, **settings)


def picture(num=1, size=32):
    """Smooth colours with an edge, 0.1..0.9."""
    v, u = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    image = torch.stack([0.2 + 0.5 * u, 0.3 + 0.4 * v, 0.1 + 0.3 * (u * v)])
    image[:, size // 4 : size // 2, size // 4 : size // 2] = torch.tensor([0.9, 0.2, 0.3])[
        :, None, None
    ]
    return image[None].repeat(num, 1, 1, 1)


def run(settings, images, seed=0):
    return sensor_chain(images, settings, BatchDraws(seed, len(images)))


def test_without_steps_images_stay():
    assert torch.equal(run(NOTHING, picture(4)), picture(4))
    assert torch.equal(run(Sensor(), picture(4)), picture(4))


@pytest.mark.parametrize("name", STEPS)
def test_every_step_changes_images_and_stays_in_range(name):
    result = run(only(name), picture(16))
    assert result.shape == (16, 3, 32, 32)
    assert result.isfinite().all()
    assert result.min() >= 0
    assert result.max() <= 1
    changed = (result - picture(16)).abs().flatten(1).amax(1) > 1e-3
    assert changed.float().mean() > 0.4  # blur starts at no blur
    assert result.std(0).max() > 1e-3  # not all in the same way


def test_the_gate_decides_how_many_images_change():
    result = run(replace(only("channel"), probability=0.8), picture(400))
    changed = (result != picture(400)).flatten(1).any(1).float().mean().item()
    assert changed == pytest.approx(0.8, abs=0.06)


def test_the_order_of_steps_changes_from_batch_to_batch():
    settings = replace(only("contrast", contrast=(0.5, 0.5)), exposure_probability=1.0,
                       exposure=(1.5, 1.5))  # fmt: skip
    # Clipping between them makes the order visible; without randomness in it one value comes out.
    values = {round(run(settings, picture(), seed)[0, 0, 10, 10].item(), 4) for seed in range(12)}
    assert len(values) == 2


def test_exposure_contrast_and_gamma_by_hand():
    image = picture()
    half = run(only("exposure", exposure=(0.5, 0.5)), image)
    assert torch.allclose(half, 0.5 * image)
    flat = run(only("contrast", contrast=(0.5, 0.5)), image)
    assert torch.allclose(flat, image.mean() + 0.5 * (image - image.mean()), atol=1e-6)
    darker = run(only("gamma", gamma=(2.0, 2.0)), image)
    assert torch.allclose(darker, image**2, atol=1e-6)


def test_saturation_reaches_grey_and_hue_keeps_it():
    image = picture(64)
    result = run(only("saturation", saturation=(0.0, 1.0)), image)
    luma = torch.from_numpy(cv2.cvtColor(image[0].permute(1, 2, 0).numpy(), cv2.COLOR_RGB2GRAY))
    assert torch.allclose(sensor.grey(result)[0, 0], luma, atol=1e-5)
    spread = (result.amax(1) - result.amin(1)).flatten(1).mean(1)
    assert spread.min() < 0.05 * spread.max()
    turned = run(only("hue", hue=0.3), image)
    unclipped = ((turned > 0) & (turned < 1)).all(1)
    assert torch.allclose(turned.mean(1)[unclipped], image.mean(1)[unclipped], atol=1e-5)
    # A third of a turn moves red to green, by the right hand about (1, 1, 1).
    red = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)

    class Third(BatchDraws):
        def uniform(self, *shape, low=0.0, high=1.0):
            return torch.full((1, *shape), 1 / 3)

    moved = sensor._hue(red, Sensor(), Third(0, 1))
    assert moved[0, :, 0, 0].tolist() == pytest.approx([0, 1, 0], abs=1e-5)


def test_blur_is_gaussian():
    image = picture()
    blurred = run(only("blur", blur_sigma_px=(1.0, 1.0)), image)
    expected = ndimage.gaussian_filter(image[0].numpy(), (0, 1.0, 1.0), mode="nearest", truncate=4)
    assert np.abs(blurred[0].numpy() - expected).max() < 1e-4


def test_motion_smears_a_dot_over_its_path():
    dot = torch.zeros(200, 3, 21, 21)
    dot[..., 10, 10] = 1
    smeared = run(only("motion", motion_px=(5.0, 5.0)), dot)[:, 0]
    assert smeared.sum((1, 2)).allclose(torch.ones(200), atol=1e-4)
    position = torch.arange(21.0) - 10
    spread = (smeared * (position[:, None] ** 2 + position**2)).sum((1, 2))
    # A uniform line of 5 px has the variance 25/12; the pixels of its ends and width add some.
    assert spread.min() > 25 / 12 * 0.8
    assert spread.max() < 25 / 12 + 1.2
    u = (smeared * position**2).sum((1, 2)) / spread
    assert u.min() < 0.15  # in all directions
    assert u.max() > 0.85


def test_resampling_loses_what_is_finer():
    stripes = (torch.arange(32) % 2).float().expand(1, 3, 32, 32)
    assert run(only("resample", resample=(0.4, 0.4)), stripes)[..., 8:24, 8:24].std() < 0.1
    smooth = picture()[:, :, 20:, 20:]
    assert torch.allclose(run(only("resample", resample=(0.5, 0.5)), smooth), smooth, atol=0.03)


def test_noise_has_the_variance_that_is_asked_for():
    grey = torch.full((300, 3, 16, 16), 0.25)
    shot = run(only("poisson", poisson_photons=(400.0, 400.0)), grey)
    assert shot.std().item() == pytest.approx((0.25 / 400) ** 0.5, rel=0.03)
    noisy = run(only("noise", noise=0.05), grey)
    # Uniform strength s up to 0.05: the mean variance is 0.05^2 / 3.
    assert noisy.std().item() == pytest.approx(0.05 / 3**0.5, rel=0.06)


@pytest.mark.parametrize("quality", [10, 30, 60, 90])
def test_jpeg_loses_as_much_as_a_real_one(quality):
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.uniform(0, 255, (48, 64, 3)).astype(np.float32), (0, 0), 2)
    image = np.clip(3 * (smooth - 128) + 128, 0, 255).astype(np.uint8)
    flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
             cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420]  # fmt: skip
    real = cv2.imdecode(cv2.imencode(".jpg", image[..., ::-1], flags)[1], cv2.IMREAD_COLOR)
    ours = jpeg(
        torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255, torch.tensor([float(quality)])
    )
    ours = 255 * ours[0].permute(1, 2, 0).numpy()
    real = real[..., ::-1].astype(np.float64)
    loss_ours, loss_real = (np.abs(x - image).mean() for x in (ours, real))
    assert loss_ours == pytest.approx(loss_real, rel=0.15)
    assert np.abs(ours - real).mean() < 0.5 * loss_real + 1  # and in the same places


def test_jpeg_of_sides_that_are_no_multiples_of_16():
    image = torch.full((1, 3, 20, 37), 0.5)
    assert torch.allclose(jpeg(image, torch.tensor([90.0])), image, atol=0.01)


def test_impossible_settings_are_all_named():
    with pytest.raises(ValueError, match="gamma must be two bounds.*jpeg_probability must be in"):
        Sensor(jpeg_probability=2.0, gamma=(1.4, 0.7))
    with pytest.raises(ValueError, match="must be positive"):
        Sensor(exposure=(0.0, 1.0))
