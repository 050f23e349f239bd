"""Random changes of training views on the fly: mirroring, light, scenes, occlusion, the sensor."""

from kp3d_core.data.augmentation.backgrounds import (
    image_borders,
    photograph_crops,
    random_backgrounds,
    random_patches,
)
from kp3d_core.data.augmentation.composition import Augmentation, composite
from kp3d_core.data.augmentation.mirroring import mirror
from kp3d_core.data.augmentation.occlusion import (
    image_edges,
    neighbours,
    random_occluders,
    random_shadows,
)
from kp3d_core.data.augmentation.sensor import Sensor, sensor_chain

__all__ = [
    "Augmentation",
    "Sensor",
    "composite",
    "image_borders",
    "image_edges",
    "mirror",
    "neighbours",
    "photograph_crops",
    "random_backgrounds",
    "random_occluders",
    "random_patches",
    "random_shadows",
    "sensor_chain",
]
