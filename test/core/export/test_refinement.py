"""The refiner: what it is fitted to, and that an exported file has it."""

import dataclasses

import numpy as np
import pytest
import torch

from kp3d_core.export.graph import DetectorGraph
from kp3d_core.export.reading import ReadViews, join, read_views
from kp3d_core.export.refinement import RefinementSettings, fit_refiner
from kp3d_core.geometry.camera import project
from kp3d_core.geometry.rotation import transform_points
from kp3d_core.inference import load_model
from kp3d_core.models import create_model
from kp3d_core.models.refiner import Reading, Refiner
from kp3d_core.training.checkpoint import load_checkpoint

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
        size_varies=everything,
    )


def test_a_new_refiner_changes_nothing_and_a_fitted_one_mends_new_objects():
    settings = RefinementSettings(steps=300, width=64, batch_size=256)
    refiner = fit_refiner(_graph(), _views(100, seed=1), UNIT_NDC, settings)
    heldout = _views(30, seed=2)
    before = _graph().merge(heldout.rows())
    untouched = Refiner(COUNT, 6, 4, unit_ndc=UNIT_NDC)
    same = _graph(untouched)
    assert torch.equal(same.merge(same.refine(heldout.rows())).uv, before.uv)
    mended = _graph(refiner)
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


def test_sizes_are_learned_only_where_they_vary():
    views, steps = _views(50, seed=1), RefinementSettings(steps=60, width=64, batch_size=128)
    fixed = views._replace(size_varies=torch.zeros_like(views.size_varies))
    alone = fit_refiner(_graph(), fixed, UNIT_NDC, steps)
    assert torch.all(alone.layers[-1].weight[-1] == 0)  # the last output is the size
    both = join([views, fixed])
    assert both.instance.tolist() == torch.arange(100).repeat_interleave(8).tolist()
    assert both.reading.uv.shape[0] == 800
    assert torch.any(fit_refiner(_graph(), both, UNIT_NDC, steps).layers[-1].weight[-1] != 0)


def test_views_of_a_wrong_orientation_teach_nothing():
    views = _views(10, seed=1)
    wrong = views._replace(flag_correct=torch.zeros_like(views.flag_correct))
    with pytest.raises(ValueError, match="A refiner needs 2 objects or more .* got 0"):
        fit_refiner(_graph(), wrong, UNIT_NDC, RefinementSettings(steps=20))


def test_fewer_steps_than_a_schedule_has_are_refused():
    with pytest.raises(ValueError, match="steps must be at least 20, got 19"):
        RefinementSettings(steps=19)


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
    read = read_views(_graph().eval(), views, on_progress=done.append)
    assert done == [1, 2, 3]
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


@pytest.fixture(scope="module")
def refined(kp3d, trained_run, rendered_cars, tmp_path_factory):
    folder = tmp_path_factory.mktemp("refined")
    data = rendered_cars / "val"
    output = kp3d("refine", trained_run / "checkpoints" / "last.ckpt", data, data,
                  "-o", folder / "refined.ckpt", "--steps", 20)  # fmt: skip
    assert "refined.ckpt: refined. Export it with" in output
    return folder / "refined.ckpt"


def test_command_and_export(kp3d, refined, trained_run, tmp_path):
    trained = load_checkpoint(refined)
    assert trained.refiner is not None
    assert [views["objects"] for views in trained.refinement["views"]] == [3, 3]
    assert load_checkpoint(trained_run / "checkpoints" / "last.ckpt").refiner is None
    # `export` checks that the graph, refiner included, agrees with torch.
    kp3d("export", refined, "-o", tmp_path / "refined.onnx")
    model = load_model(tmp_path / "refined.onnx")
    assert model.provenance["refinement"]["steps"] == 20
    error = kp3d("export", refined, "-o", tmp_path / "x.onnx", "--no-mirror", code=1)
    assert "was fitted with mirror=True, got mirror=False" in error


def test_objects_of_the_training_are_refused(kp3d, trained_run, rendered_cars, tmp_path):
    checkpoint = trained_run / "checkpoints" / "last.ckpt"
    error = kp3d("refine", checkpoint, rendered_cars / "train", "-o", tmp_path / "r.ckpt", code=1)
    assert "DATA must hold objects that the network was not trained on" in error


def test_settings_are_kept(refined):
    content = torch.load(refined, weights_only=False)
    defaults = dataclasses.asdict(RefinementSettings(steps=20))
    kept = content["refiner"]["refinement"]
    assert {name: kept[name] for name in defaults} == defaults
    assert np.isfinite(content["refiner"]["state_dict"]["mean"].numpy()).all()
