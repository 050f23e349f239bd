"""Run time: model files, engines, and the way from a camera image to keypoints and pose."""

from kp3d_core.inference.camera import CameraModel
from kp3d_core.inference.depth_scale import (
    DepthScale,
    contradicts,
    rescale,
    scale_from_depth,
    without_scale,
)
from kp3d_core.inference.detection import Detection
from kp3d_core.inference.detector import Detector
from kp3d_core.inference.engines import Engine, TimedEngine, create_engine, engine_names
from kp3d_core.inference.model import Calibration, KeypointLayout, Model, TrainingCamera
from kp3d_core.inference.model_file import load_model, shipped_models
from kp3d_core.inference.object_tracker import ObjectTracker, Sightings
from kp3d_core.inference.places import Places
from kp3d_core.inference.pose import RelativeMotion, RelativePose
from kp3d_core.inference.pose_filter import PoseFilter
from kp3d_core.inference.settings import DetectorSettings
from kp3d_core.inference.stream_order import ImageClock, Order, StreamOrder
from kp3d_core.inference.view import Region, View

__all__ = [
    "Calibration",
    "CameraModel",
    "DepthScale",
    "Detection",
    "Detector",
    "DetectorSettings",
    "Engine",
    "ImageClock",
    "KeypointLayout",
    "Model",
    "Region",
    "RelativeMotion",
    "RelativePose",
    "ObjectTracker",
    "Places",
    "Order",
    "PoseFilter",
    "Sightings",
    "StreamOrder",
    "TimedEngine",
    "TrainingCamera",
    "View",
    "create_engine",
    "engine_names",
    "load_model",
    "contradicts",
    "rescale",
    "scale_from_depth",
    "without_scale",
    "shipped_models",
]
