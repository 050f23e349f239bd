"""The refiner: what it is fitted to, and that an exported file has it."""

import pytest
import torch

from kp3d_core.data.augmentation import Augmentation
from kp3d_core.data.reframing import Reframing
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.models import create_model
from kp3d_core.models.graph import DetectorGraph
from kp3d_core.models.refiner import Reading, Refiner
from kp3d_core.training.finetune import warm_up
from kp3d_core.training.finetune_settings import FinetuneSettings
from kp3d_core.training.reading import ReadViews, mean_places, read_views

DISTANCE, FOCAL_NDC = 30.0, 22.0
UNIT_NDC = FOCAL_NDC / DISTANCE
COUNT = 10


def _graph(refiner=None):
    torch.manual_seed(0)
    return DetectorGraph(create_model("fast").eval(), 64, DISTANCE, mirror=True, refiner=refiner)


def _rotations(number, generator):
    q, _ = torch.linalg.qr(torch.randn(number, 3, 3, generator=generator))
    return q * torch.linalg.det(q).sign()[:, None, None]


def _views(objects, seed):
    """Readings with a fault that can be mended: depths are too flat, sizes grow with the width."""
    generator = torch.Generator().manual_seed(seed)
    views = 8
    number = objects * views
    T = torch.eye(4).repeat(number, 1, 1)
    T[:, :3, :3] = _rotations(number, generator)
    T[:, 2, 3] = DISTANCE
    mean = torch.linspace(-0.8, 0.8, COUNT)[:, None] * torch.tensor([1.0, 0.3, -0.2])
    mean[::2, 1] += 0.4
    mean[::3, 2] -= 0.3
    shape = mean + 0.05 * torch.randn(objects, COUNT, 3, generator=generator)
    sides = []
    for mirrored in (False, True):
        flip = torch.tensor([-1.0, 1.0, 1.0]) if mirrored else torch.ones(3)
        points = transform_points(T, shape.repeat_interleave(views, 0)) * flip
        K = torch.diag(torch.tensor([FOCAL_NDC, FOCAL_NDC, 1.0])).repeat(number, 1, 1)
        width = points[..., 0].amax(1) - points[..., 0].amin(1)
        sides.append(
            Reading(
                uv=project(points, K),
                depth=0.7 * (points[..., 2] - DISTANCE),
                covariance=0.01 * torch.eye(3).repeat(number, COUNT, 1, 1),
                score=torch.ones(number, COUNT),
                log_scale=0.05 * width,
                orientation_uv=project(T[:, None, :3, 3] + torch.zeros(number, 6, 3), K),
                summary=torch.zeros(number, 4),
            )
        )
    everything = torch.ones(number, dtype=torch.bool)
    return ReadViews(
        Reading(*(torch.stack(pair, dim=1) for pair in zip(*sides, strict=True))),
        K_ndc=K,
        T_camera_object=T,
        log_scale=torch.zeros(number),
        instance=torch.arange(objects).repeat_interleave(views),
        is_plain=everything,
        flag_correct=everything,
    )


def _warm(graph, views, steps):
    objects = int(views.instance.max()) + 1
    places, counts = mean_places(graph, views, objects)
    settings = FinetuneSettings(warmup_steps=steps, warmup_views=256)
    warm_up(graph, views, places, counts >= settings.min_views, settings)


def test_a_new_refiner_changes_nothing_and_a_fitted_one_mends_new_objects():
    mended = _graph(Refiner(COUNT, 6, 4, unit_ndc=UNIT_NDC, width=64))
    _warm(mended, _views(100, seed=1), steps=300)
    mended.refiner.eval()
    heldout = _views(30, seed=2)
    before = _graph().merge(heldout.rows())
    untouched = Refiner(COUNT, 6, 4, unit_ndc=UNIT_NDC)
    same = _graph(untouched)
    assert torch.equal(same.merge(same.refine(heldout.rows())).uv, before.uv)
    with torch.no_grad():
        after = mended.merge(mended.refine(heldout.rows()))
    # The fault of the depths shows between the views of an object: it is where they agree least.
    points = [transform_points(heldout.T_camera_object.inverse(), p) for p in
              (_lift(before, heldout), _lift(after, heldout))]  # fmt: skip
    spread = [p.unflatten(0, (30, 8)).var(1).sum(-1).mean() for p in points]
    assert spread[1] < 0.2 * spread[0]
    assert after.log_scale.abs().mean() < 0.2 * before.log_scale.abs().mean()


def _lift(reading, views):
    depth = DISTANCE + reading.depth
    return torch.cat([reading.uv / FOCAL_NDC * depth[..., None], depth[..., None]], dim=-1)


def test_views_of_a_wrong_orientation_teach_nothing():
    views = _views(10, seed=1)
    wrong = views._replace(flag_correct=torch.zeros_like(views.flag_correct))
    with pytest.raises(ValueError, match="Finetuning needs 2 objects or more .* got 0"):
        _warm(_graph(Refiner(COUNT, 6, 4, unit_ndc=UNIT_NDC)), wrong, steps=20)


def test_mirrored_images_get_mirrored_corrections(rendered_cars):
    from kp3d_core.data.memory import load_views

    refiner = Refiner(COUNT, 6, 96, unit_ndc=UNIT_NDC)
    torch.nn.init.normal_(refiner.layers[-1].weight, std=0.05)
    graph = _graph(refiner).eval()
    image = torch.from_numpy(load_views(rendered_cars / "val", 64).rgba[0, :3, ..., :3].copy())
    with torch.no_grad():
        uv, depth, _, _, scale, *_ = graph(image)
        uv_m, depth_m, _, _, scale_m, *_ = graph(image.flip(2))
        plain = _graph().eval()(image)
    twins = [*range(COUNT, 2 * COUNT), *range(COUNT)]
    assert torch.allclose(63 - uv_m[:, twins, 0], uv[..., 0], atol=1e-3)
    assert torch.allclose(uv_m[:, twins, 1], uv[..., 1], atol=1e-3)
    assert torch.allclose(depth_m[:, twins], depth, atol=1e-4)
    assert torch.allclose(scale_m, scale, atol=1e-5)
    assert (uv - plain[0]).abs().max() > 0.1  # it did something


def test_reading_knows_the_truth_about_views(rendered_cars):
    from kp3d_core.data.memory import load_views

    views = load_views(rendered_cars / "val", 64)
    done = []
    changes = Augmentation(background_probability=1.0), Reframing(probability=1.0)
    read = read_views(_graph().eval(), views, *changes, on_progress=done.append)
    assert done == [3]
    assert read.reading.uv.shape == (36, 2, COUNT, 2)  # 3 cars, 6 views, plain and changed
    assert read.rows().uv.shape == (72, COUNT, 2)
    assert torch.equal(read.rows().uv[36:], read.reading.uv[:, 1])
    plain = read.select(read.is_plain)
    T = torch.from_numpy(views.T_camera_object).flatten(0, 1)
    assert torch.allclose(plain.T_camera_object, T)
    focal = torch.from_numpy(views.K[..., 0, 0]).flatten()
    expected = focal / views.training_focal_px * views.training_distance / T[:, 2, 3]
    assert torch.allclose(plain.log_scale, expected.log(), atol=1e-5)
    # Changed views are seen through other cameras, of the same object.
    changed = read.select(~read.is_plain)
    assert not torch.allclose(changed.log_scale, plain.log_scale)
    assert torch.allclose(changed.T_camera_object[:, 2, 3], T[:, 2, 3], atol=1e-4)


def test_places_are_means_over_plain_views_of_the_right_orientation(rendered_cars):
    from kp3d_core.data.memory import load_views

    graph = _graph().eval()
    views = load_views(rendered_cars / "train", 64)
    changes = Augmentation(background_probability=1.0), Reframing(probability=1.0)
    places, counts = mean_places(graph, read_views(graph, views, *changes), 6)
    assert places.shape == (6, 20, 3)
    # By hand, on one object.
    rgba, T, K = (torch.from_numpy(v[0]) for v in (views.rgba, views.T_camera_object, views.K))
    with torch.no_grad():
        look = graph.look(rgba[..., :3].permute(0, 3, 1, 2).float() / 255)
        reading = graph.merge(look.reading)
    right = look.flag == (T[:, 0, 0] > 0)
    assert counts[0] == right.sum() > 0
    points = []
    for view in right.nonzero()[:, 0]:
        pixel = (reading.uv[view] + 1) * 32 - 0.5
        depth = T[view, 2, 3] + reading.depth[view]
        ray = torch.cat([pixel, torch.ones(20, 1)], dim=1) @ torch.linalg.inv(K[view]).T
        camera = ray * depth[:, None]
        points.append((camera - T[view, :3, 3]) @ T[view, :3, :3])
    torch.testing.assert_close(places[0], torch.stack(points).mean(0), atol=1e-4, rtol=1e-4)
