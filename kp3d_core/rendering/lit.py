"""Objects as photographs show them: sun and sky with shadows, highlights, reflections, panes, dirt.

The image is built in linear light from the materials' colour, metallic, roughness and opacity, and
then displayed (see `environment`). `prepare` does once an object what all views share: shadow maps
of the sky's parts and of the possible suns. Visibility, mask and depth are those of `rasterizer`;
a pane counts as surface there, whatever is seen through it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from kp3d_core.rendering import kernels, light_kernels
from kp3d_core.rendering.environment import Environment
from kp3d_core.rendering.mesh import Mesh
from kp3d_core.rendering.packing import PackedMesh, TextureTable, pack
from kp3d_core.rendering.rasterizer import Rendering, _check, _project, _window
from kp3d_core.rendering.shadows import ShadowMaps, coarse, shadow_maps

FloatArray = NDArray[np.float64]
Color = tuple[float, float, float]

SKY_PARTS = 18
"""Directions that stand for sky and ground: spread evenly, those far below left out."""
_SKY_MAP_SIZE = 96
_FINE_MESH = 8_000
"""Meshes with more faces cast the sky's shadows on a grid of `_SKY_CELL` model units."""
_SKY_CELL = 0.02
_KEY_MAP_SIZE = 256
_PANE_BELOW = 250
"""Texels less opaque than this make a pane [of 255]."""
_GROUND_STEP = 2
"""Pixels between samples of the shadow on the ground, which is soft."""
MAX_GROUND_ALPHA = 120
"""Darkest shadow on the ground [of 255]: below half, which counts as covered by the object."""


@dataclass(frozen=True)
class LitMesh:
    """An object ready to be drawn in any light from its key directions."""

    packed: PackedMesh
    base_color: FloatArray
    """Linear, (materials, 3)."""
    finish: FloatArray
    """Metallic, roughness, opacity, (materials, 3)."""
    has_pane: NDArray[np.bool_]
    """Which faces may be seen through."""
    sky: ShadowMaps
    keys: ShadowMaps
    footprint: FloatArray
    """Half the extent along x and y, middle x and y, lowest z, (5,)."""


@dataclass(frozen=True)
class Lighting:
    """The light of one view."""

    environment: Environment
    """What is mirrored, and the light of sky and ground."""
    turn: float = 0.0
    """By which the environment is turned about z [rad]."""
    keys: tuple[tuple[int, Color], ...] = ()
    """Suns and lamps: number among the key directions, and what a white surface shows facing it."""
    exposure: float = 1.0
    """Factor from radiance to the displayed range 0..1."""
    dirt: float = 0.0
    """0 = clean, 1 = filthy."""
    dirt_color: Color = (0.13, 0.1, 0.07)
    """Linear."""
    ground_shadow: float = 1.0
    """Share of the shadow on the ground that is drawn: 0 = the object stands on nothing. It is
    black in the picture, and in alpha at most `MAX_GROUND_ALPHA`."""


def prepare(mesh: Mesh | PackedMesh, key_directions: FloatArray, sky_turn: float = 0.0) -> LitMesh:
    """Make an object ready.

    Args:
        mesh: in model units; a `Mesh` gives its materials, a `PackedMesh` has kept them.
        key_directions: towards suns and lamps that views may use, object frame, (L, 3).
        sky_turn: of the sky's parts about z [rad]: another one for every object hides how few
            they are.
    """
    packed = mesh if isinstance(mesh, PackedMesh) else pack(mesh)
    textures = packed.textures
    clear = _clear_shares(packed)
    has_pane = clear > 0
    casts = np.ascontiguousarray(packed.faces[clear < 0.5])
    vertices = packed.vertices
    used = vertices[packed.faces.ravel()] if len(packed.faces) else np.zeros((1, 3))
    low, high = np.nanmin(used, axis=0), np.nanmax(used, axis=0)
    half = np.maximum((high - low) / 2, 1e-3)
    return LitMesh(
        packed=packed,
        base_color=np.square(np.clip(textures.base_color, 0.0, 1.0)),
        finish=textures.finish,
        has_pane=has_pane,
        sky=shadow_maps(
            *coarse(vertices, casts, _FINE_MESH, _SKY_CELL),
            _sky_directions(sky_turn),
            _SKY_MAP_SIZE,
        ),
        keys=shadow_maps(vertices, casts, key_directions, _KEY_MAP_SIZE),
        footprint=np.array([half[0], half[1], *((low + high) / 2)[:2], low[2]]),
    )


def render_lit(
    mesh: LitMesh,
    K: ArrayLike,
    T_camera_object: ArrayLike,
    width: int,
    height: int,
    lighting: Lighting,
    *,
    samples: int = 3,
) -> Rendering:
    """Draw one object in a light.

    Args:
        mesh: from `prepare`.
        K: intrinsics [px], shape (3, 3); the centre of the top-left pixel is (0, 0).
        T_camera_object: object to camera (x right, y down, z forward), shape (4, 4). Its rotation
            may carry a uniform scale.
        width: image width [px].
        height: image height [px].
        lighting: of this view.
        samples: samples per pixel side, odd.

    Returns:
        The image. Its alpha is coverage times opacity, so panes without anything of the object
        behind them let the background through, and holds the shadow on the ground as well.
    """
    K_, T = _check(K, T_camera_object, width, height, samples)
    image = Rendering(
        rgb=np.zeros((height, width, 3), np.uint8),
        mask=np.zeros((height, width), np.bool_),
        alpha=np.zeros((height, width), np.uint8),
        depth=np.zeros((height, width), np.float32),
    )
    view = _View.of(K_, T)
    sky_color = sky_colors(mesh.sky, lighting.environment, lighting.turn)
    key_color = np.array([color for _, color in lighting.keys], np.float64).reshape(-1, 3)
    keys = _chosen(mesh.keys, [number for number, _ in lighting.keys])
    _draw_object(image, mesh, K_, T, view, samples, lighting, sky_color, keys, key_color)
    if lighting.ground_shadow > 0:
        _draw_ground(image, mesh, view, lighting, sky_color, keys, key_color)
    return image


@dataclass(frozen=True)
class _View:
    """Rays of an image in the object frame."""

    eye: FloatArray
    to_object: FloatArray
    """(column, row, 1) of a pixel to the object frame, for depth 1."""

    @staticmethod
    def of(K: FloatArray, T: FloatArray) -> _View:
        inverse = np.linalg.inv(T[:3, :3])
        return _View(-inverse @ T[:3, 3], inverse @ np.linalg.inv(K))

    def window(self, x0: int, y0: int, samples: int) -> FloatArray:
        """The same for the samples of a window."""
        first = (samples - 1) / 2
        pixel = np.array(
            [
                [1 / samples, 0, x0 - first / samples],
                [0, 1 / samples, y0 - first / samples],
                [0, 0, 1],
            ]
        )
        return np.ascontiguousarray(self.to_object @ pixel)


def _draw_object(
    image: Rendering,
    mesh: LitMesh,
    K: FloatArray,
    T: FloatArray,
    view: _View,
    samples: int,
    lighting: Lighting,
    sky_color: FloatArray,
    keys: ShadowMaps,
    key_color: FloatArray,
) -> None:
    packed = mesh.packed
    height, width = image.mask.shape
    u, v, inverse_z = _project(packed.vertices, K, T)
    window = _window(u, v, inverse_z, width, height)
    if window is None or not len(packed.faces):
        return
    x0, y0, x1, y1 = window
    sx = (u - x0) * samples + (samples - 1) / 2
    sy = (v - y0) * samples + (samples - 1) / 2
    shape = ((y1 - y0) * samples, (x1 - x0) * samples)
    near, owner = np.zeros((3, *shape)), np.full((3, *shape), -1, np.int32)
    is_front = np.zeros(len(packed.faces), np.uint8)
    for layer, faces in enumerate(_layers(mesh, sx, sy)):
        if len(faces):
            front = np.zeros(len(faces), np.uint8)
            kernels.resolve_visibility(
                sx, sy, inverse_z, packed.faces[faces], near[layer], owner[layer], front
            )
            is_front[faces] = front
            if len(faces) < len(packed.faces):
                seen = owner[layer] >= 0
                owner[layer][seen] = faces[owner[layer][seen]]
    tex, environment = packed.textures, lighting.environment
    turn = np.array([np.cos(lighting.turn), np.sin(lighting.turn)])
    light_kernels.shade_lit(
        sx, sy, inverse_z, packed.vertices, packed.faces, packed.corner_normals,
        packed.corner_uv, packed.material_ids, is_front, tex.texels, tex.offset, tex.width,
        tex.height, tex.levels, mesh.base_color, mesh.finish, near, owner, samples,
        view.eye, view.window(x0, y0, samples), mesh.sky.directions, sky_color,
        mesh.sky.across, mesh.sky.reach, mesh.sky.texel, keys.directions, key_color,
        keys.across, keys.reach, keys.texel, environment.texels, environment.offset,
        environment.size, turn, mesh.footprint, lighting.dirt, np.array(lighting.dirt_color),
        lighting.exposure, image.rgb[y0:y1, x0:x1], image.alpha[y0:y1, x0:x1],
        image.mask[y0:y1, x0:x1], image.depth[y0:y1, x0:x1],
    )  # fmt: skip


def _layers(mesh: LitMesh, sx: FloatArray, sy: FloatArray) -> list[NDArray[np.int64]]:
    """Faces that are opaque, panes seen from outside, panes seen from inside."""
    if not mesh.has_pane.any():
        return [np.arange(len(mesh.packed.faces))]
    panes = np.flatnonzero(mesh.has_pane)
    a, b, c = mesh.packed.faces[panes].T
    area = (sx[b] - sx[a]) * (sy[c] - sy[a]) - (sy[b] - sy[a]) * (sx[c] - sx[a])
    return [np.flatnonzero(~mesh.has_pane), panes[area < 0], panes[~(area < 0)]]


def _draw_ground(
    image: Rendering,
    mesh: LitMesh,
    view: _View,
    lighting: Lighting,
    sky_color: FloatArray,
    keys: ShadowMaps,
    key_color: FloatArray,
) -> None:
    """Put the shadow on the ground into alpha, behind the object."""
    height, width = image.mask.shape
    level = float(mesh.footprint[4])
    if view.eye[2] <= level:
        return
    coarse_hw = (-(-height // _GROUND_STEP) + 1, -(-width // _GROUND_STEP) + 1)
    left = np.empty(coarse_hw, np.float32)
    light_kernels.shade_ground(
        view.eye, view.to_object, float(_GROUND_STEP), level, 4.0,
        mesh.sky.directions, sky_color.mean(axis=1), mesh.sky.across, mesh.sky.reach,
        mesh.sky.texel, keys.directions, key_color.mean(axis=1), keys.across, keys.reach,
        keys.texel, left,
    )  # fmt: skip
    left = cv2.GaussianBlur(left, (3, 3), 0.7, borderType=cv2.BORDER_REPLICATE)
    # Sample (i, j) of the coarse map lies at pixel (i, j) * step.
    to_coarse = np.array([[1 / _GROUND_STEP, 0, 0], [0, 1 / _GROUND_STEP, 0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    left = cv2.warpAffine(left, to_coarse, (width, height), flags=flags)
    shadow = np.minimum(255 * lighting.ground_shadow * (1 - left), MAX_GROUND_ALPHA)
    alpha = image.alpha.astype(np.float32)
    behind = shadow * (1 - alpha / 255)
    image.alpha[:] = np.where(image.mask | (alpha > 0), alpha + behind, behind) + 0.5


def _sky_directions(turn: float) -> FloatArray:
    """Unit vectors spread evenly over the sphere, without those that look far down."""
    golden = np.pi * (3 - np.sqrt(5))
    z = 1 - (2 * np.arange(SKY_PARTS) + 1) / SKY_PARTS
    angle = golden * np.arange(SKY_PARTS) + turn
    radius = np.sqrt(1 - z**2)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=-1)
    return directions[z > -0.8]


def sky_colors(sky: ShadowMaps, environment: Environment, turn: float) -> FloatArray:
    """What a white surface shows of each part of sky and ground that it faces, (parts, 3)."""
    cos_sin = np.array([np.cos(turn), np.sin(turn)])
    level = len(environment.size) - 2
    radiance = [
        light_kernels.radiance_from(
            environment.texels, environment.offset, environment.size, cos_sin, *direction, level
        )
        for direction in sky.directions
    ]
    # A part covers 4 pi / n of directions; a white surface shows irradiance / pi.
    return np.array(radiance, np.float64) * (4 / SKY_PARTS)


def _chosen(maps: ShadowMaps, numbers: list[int]) -> ShadowMaps:
    chosen = np.array(numbers, np.int64)
    return ShadowMaps(maps.directions[chosen], maps.across[chosen], maps.reach[chosen], maps.texel)


def _clear_shares(packed: PackedMesh) -> FloatArray:
    """Share of each face that is not opaque, about, (F,)."""
    textures = packed.textures
    shares = (textures.finish[packed.material_ids, 2] < _PANE_BELOW / 255).astype(np.float64)
    for material in map(int, np.flatnonzero(textures.levels)):
        faces = np.flatnonzero(packed.material_ids == material)
        if len(faces):
            of_texels = _clear_texel_shares(packed.corner_uv[faces], textures, material)
            shares[faces] = np.maximum(shares[faces], of_texels)
    return shares


def _clear_texel_shares(
    corner_uv: NDArray[np.float32], textures: TextureTable, material: int
) -> FloatArray:
    """Share of clear texels in the box of each face in a texture; a repeated one counts whole."""
    width, height = int(textures.width[material, 0]), int(textures.height[material, 0])
    first = int(textures.offset[material, 0])
    opacity = textures.texels[first : first + width * height, 3].reshape(height, width)
    count = cv2.integral((opacity < _PANE_BELOW).astype(np.uint8))
    if not count[-1, -1]:
        return np.zeros(len(corner_uv))
    uv = np.nan_to_num(corner_uv.astype(np.float64))
    low, high = uv.min(axis=1), uv.max(axis=1)
    repeats = ((low < -1e-3) | (high > 1 + 1e-3)).any(axis=1)
    x0 = np.where(repeats, 0, np.clip(np.floor(low[:, 0] * width), 0, width - 1)).astype(int)
    x1 = np.where(repeats, width, np.clip(np.ceil(high[:, 0] * width), 1, width)).astype(int)
    y0 = np.where(repeats, 0, np.clip(np.floor((1 - high[:, 1]) * height), 0, height - 1))
    y1 = np.where(repeats, height, np.clip(np.ceil((1 - low[:, 1]) * height), 1, height))
    y0, y1 = y0.astype(int), y1.astype(int)
    x1, y1 = np.maximum(x1, x0 + 1), np.maximum(y1, y0 + 1)
    clear = count[y1, x1] - count[y0, x1] - count[y1, x0] + count[y0, x0]
    return np.asarray(clear / ((x1 - x0) * (y1 - y0)))
