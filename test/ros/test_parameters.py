"""Parameters of the node, through rclpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from rclpy.parameter import Parameter

from kp3d_ros.parameter_files import files_for_others
from kp3d_ros.parameters import change, declare
from kp3d_ros.qos import unread_overrides
from kp3d_ros.settings import Settings


@pytest.fixture(scope="module")
def context() -> Any:
    context = Context()
    rclpy.init(context=context)
    yield context
    rclpy.shutdown(context=context)


@pytest.fixture
def node_with(context: Context, request: pytest.FixtureRequest) -> Any:
    def make(**overrides: Any) -> Node:
        parameters = [Parameter(name, value=value) for name, value in overrides.items()]
        node = Node("test_parameters", context=context, parameter_overrides=parameters)
        request.addfinalizer(node.destroy_node)
        return node

    return make


def test_defaults(node_with: Any) -> None:
    assert declare(node_with()) == Settings()


def test_whole_numbers_are_numbers(node_with: Any) -> None:
    settings = declare(node_with(object_size=2, region=[1, 2, 3, 4], gravity=[0.0, 1.0, 0.0]))

    assert settings.object_size == 2.0
    assert settings.region == (1.0, 2.0, 3.0, 4.0)
    assert settings.gravity == (0.0, 1.0, 0.0)


def test_each_has_a_description_and_its_type(node_with: Any) -> None:
    node = node_with(object_size=2)
    declare(node)

    assert node.describe_parameter("max_wrong").description.startswith("Largest share of")
    assert node.describe_parameter("max_wrong").floating_point_range[0].to_value == 1.0
    assert node.describe_parameter("threads").integer_range[0].to_value == 256
    fixed = node.describe_parameter("model").additional_constraints
    assert fixed == "Read when the node is configured."
    assert "One of raw, compressed" in (
        node.describe_parameter("image_transport").additional_constraints
    )
    assert node.get_parameter("models").type_ is Parameter.Type.STRING_ARRAY
    assert node.get_parameter("object_size").type_ is Parameter.Type.DOUBLE


def test_list_of_mixed_numbers_as_ros2_param_gives_it() -> None:
    given = [Parameter("region", value="[1.0, 2.0, 300, 400]")]

    with pytest.raises(
        ValueError, match="Write all numbers of a list with a decimal point, or none"
    ):
        change(Settings(), given, configured=True)


def test_all_problems_are_named_at_once(node_with: Any) -> None:
    node = node_with(object_sise=3.0, threads=1.5, max_wrong=2.0, region=[1.0, 2.0], model=7)

    with pytest.raises(ValueError, match="Parameter") as error:
        declare(node)

    text = str(error.value)
    assert "'object_sise' does not exist, did you mean 'object_size'?" in text
    assert "'threads' must be an integer, got 1.5" in text
    assert "'max_wrong' must be within 0 and 1, got 2" in text
    assert "'region' must have 4 numbers, got 2" in text
    assert "'model' must be a string, got 7" in text


@pytest.mark.parametrize(
    ("override", "value", "text"),
    [
        ("/imag.subscription.reliability", "reliable", "for no subscription of the node, did you "
         "mean '/image'? Topics have their full names"),
        ("/image.publisher.depth", 3, "is for no publisher of the node"),
        ("/image.subscriber.depth", 3, "must have the form qos_overrides.TOPIC.subscription.POL"),
        ("/image.depth", 3, "must have the form"),
        ("/image.subscription.reliabilty", "reliable", "did you mean 'reliability'?"),
        ("/image.subscription.deadline", 5, "no policy that can be set: there are depth, durab"),
        ("/image.subscription.durability", "latched", "transient_local or volatile"),
        ("/image.subscription.reliability", True, "got True"),
        ("/image.subscription.depth", 0, "must be a positive integer, got 0"),
    ],
)  # fmt: skip
def test_qos_override_that_nobody_reads_is_refused(
    node_with: Any, override: str, value: Any, text: str
) -> None:
    with pytest.raises(ValueError, match="Parameter 'qos_overrides") as error:
        declare(node_with(**{f"qos_overrides.{override}": value}))

    assert text in str(error.value)


def test_qos_overrides_that_are_read(node_with: Any) -> None:
    overrides = {
        "/image.subscription.reliability": "reliable",
        "/image/compressed.subscription.depth": 2,
        "/camera_info.subscription.durability": "transient_local",
        "/tf_static.subscription.history": "keep_all",
        "/test_parameters/keypoints.publisher.reliability": "best_effort",
        "/tf.publisher.depth": 5,
    }
    node = node_with(**{f"qos_overrides.{name}": value for name, value in overrides.items()})

    declare(node)

    # Those of inputs that are not opened as the parameters are: the user is told.
    assert unread_overrides(node, [*map("qos_overrides.{}".format, overrides)], ["image"]) == [
        "qos_overrides./image/compressed.subscription.depth",
        "qos_overrides./camera_info.subscription.durability",
        "qos_overrides./tf_static.subscription.history",
    ]


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"object_size": -1.0}, "'object_size' must be within 0 and 1000, got -1"),
        ({"object_size": True}, "'object_size' must be a number, got True"),
        ({"object_size": float("nan")}, "'object_size' must be within 0 and 1000, got nan"),
        ({"region": [0.0, 0.0, -5.0, 5.0]}, "'region' must have a positive width and height"),
        ({"gravity": [0.0, float("inf"), 0.0]}, "'gravity' must be finite"),
        ({"region": [0.0, 0.0, 5.0, 5.0, 1.0, 1.0, 0.0, 5.0]}, "positive width and height"),
        ({"image_transport": "jpeg"}, "'image_transport' must be 'raw' or 'compressed', got"),
        ({"models": [1.0]}, "'models' must be a list of strings"),
        ({"gravity": 9.81}, "'gravity' must be a list of numbers, got 9.81"),
        ({"publish_tf": "no"}, "'publish_tf' must be true or false, got 'no'"),
    ],
)
def test_wrong_values(values: dict[str, Any], match: str) -> None:
    with pytest.raises(ValueError, match=match):
        Settings().replace(values)


def test_fixed_ones_change_only_before_the_node_is_configured() -> None:
    model, score = Parameter("model", value="chair"), Parameter("max_wrong", value=0.5)

    assert change(Settings(), [model, score], configured=False).model == "chair"
    assert change(Settings(), [score], configured=True).max_wrong == 0.5
    assert change(Settings(model="chair"), [model], configured=True).model == "chair"  # no change
    with pytest.raises(ValueError, match="'model' is read when the node is configured"):
        change(Settings(), [model], configured=True)


def test_parameters_of_others_are_left_alone() -> None:
    assert Settings().replace({"use_sim_time": True}) == Settings()


def test_shipped_parameter_file_holds_the_defaults() -> None:

    import yaml

    path = Path(__file__).parents[2] / "config" / "detector.yaml"
    parameters = yaml.safe_load(path.read_text())["/**"]["ros__parameters"]

    assert Settings().replace(parameters) == Settings()
    assert set(parameters) == set(vars(Settings()))


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("/**: {ros__parameters: {model: car}}", None),
        ("/**/detector: {ros__parameters: {model: car}}", None),
        ("/front/detector: {ros__parameters: {model: car}}", None),
        ("front: {detector: {ros__parameters: {model: car}}}", None),
        ("other: {ros__parameters: {a: 1}}\n/front: {detector: {ros__parameters: {a: 1}}}", None),
        # Without a namespace it is the node of the root.
        ("detector: {ros__parameters: {model: car}}", "/detector"),
        ("kp3d: {ros__parameters: {a: 1}}\n/front/cam: {ros__parameters: {}}", "/kp3d, /front/cam"),
        ("ros__parametres: {model: car}", "no node"),
        ("", "no node"),
        # * stands for one part of a name, ** for any number of them.
        ("/**/detector: {ros__parameters: {a: 1}}", None),
        ("/*/detector: {ros__parameters: {a: 1}}", None),
        ("/front/**: {ros__parameters: {a: 1}}", None),
        ("/*: {ros__parameters: {a: 1}}", "/*"),
        ("/rear/**: {ros__parameters: {a: 1}}", "/rear/**"),
    ],
)
def test_parameter_file_for_others_is_told(tmp_path: Path, text: str, others: str | None) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    arguments = ["detector_node", "--ros-args", "-r", "__ns:=/front", "--params-file", str(file)]

    sentences = list(files_for_others(arguments, "/front/detector"))

    assert sentences == (
        []
        if others is None
        else [
            f"Parameter file {file} holds nothing for this node, /front/detector: its sections are "
            f"for {others}. Name the section '/front/detector', or '/**' for any node."
        ]
    )
    assert list(files_for_others(arguments[:-2], "/front/detector")) == []
