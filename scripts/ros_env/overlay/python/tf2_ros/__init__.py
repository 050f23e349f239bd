"""The broadcasters of `tf2_ros`, for machines without ROS 2.

Same names and behaviour as `tf2_ros` of ROS 2, on the same topics with the same quality of service.
Installed only where the real package cannot be imported.
"""

from .broadcaster import StaticTransformBroadcaster, TransformBroadcaster

__all__ = ["StaticTransformBroadcaster", "TransformBroadcaster"]
