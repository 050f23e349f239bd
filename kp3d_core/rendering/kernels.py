"""Compiled inner loops of the rasterizer: visibility per sample, then shading per pixel.

Both work in *sample coordinates* of the window that is drawn: sample column j and row i have the
integer position (j, i); a pixel holds `samples` x `samples` of them and its middle sample is the
pixel centre. Everything runs on the calling thread, in a fixed order, so results are repeatable.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

DEPTH_TIE = 2e-6
"""Surfaces closer together than this, relative to their depth, count as coincident."""

_EDGE_TOLERANCE = 1e-9
"""Barycentric slack that closes the cracks which rounding would open along shared edges."""


@njit(cache=True, nogil=True, error_model="numpy")
def resolve_visibility(sx, sy, inverse_z, faces, nearest, owner, is_front):
    """Find the visible triangle at every sample.

    Args:
        sx: sample column of every vertex.
        sy: sample row of every vertex.
        inverse_z: 1 / depth of every vertex; 0 marks a vertex that cannot be drawn.
        faces: vertex indices, (F, 3).
        nearest: out, 1 / depth at every sample, zeros on entry.
        owner: out, index of the visible triangle at every sample, -1 on entry.
        is_front: out, per triangle, 1 where its outside faces the camera.
    """
    n_rows, n_cols = nearest.shape
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        za, zb, zc = inverse_z[a], inverse_z[b], inverse_z[c]
        if not (za > 0.0 and zb > 0.0 and zc > 0.0):
            continue  # reaches behind the camera (or is not a number): dropped, not clipped
        xa, ya, xb, yb, xc, yc = sx[a], sy[a], sx[b], sy[b], sx[c], sy[c]
        area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
        if not abs(area) > 1e-12:
            continue
        # Rows grow downwards, so a triangle that is counter-clockwise to the eye has area < 0.
        front = area < 0.0
        is_front[t] = front
        row_first = max(0, int(math.ceil(max(min(ya, yb, yc), -1.0))))
        row_last = min(n_rows - 1, int(math.floor(min(max(ya, yb, yc), float(n_rows)))))
        col_low = max(min(xa, xb, xc), 0.0)
        col_high = min(max(xa, xb, xc), n_cols - 1.0)
        if row_first > row_last or col_low > col_high:
            continue
        z_low, z_high = min(za, zb, zc), max(za, zb, zc)
        # Barycentric coordinates (of a, b; c takes the rest) as planes over the samples.
        ax, ay = (yb - yc) / area, (xc - xb) / area
        bx, by = (yc - ya) / area, (xa - xc) / area
        cx, cy = -ax - bx, -ay - by
        for row in range(row_first, row_last + 1):
            # At column 0 of this row:
            wa = ax * (0.0 - xb) + ay * (row - yb)
            wb = bx * (0.0 - xc) + by * (row - yc)
            wc = cx * (0.0 - xa) + cy * (row - ya)
            low, high = col_low, col_high
            low, high = _clip_span(wa, ax, low, high)
            low, high = _clip_span(wb, bx, low, high)
            low, high = _clip_span(wc, cx, low, high)
            if low > high:
                continue
            z_row = wa * za + wb * zb + wc * zc
            z_step = ax * za + bx * zb + cx * zc
            for col in range(int(math.ceil(low)), int(math.floor(high)) + 1):
                z = min(max(z_row + z_step * col, z_low), z_high)
                held = nearest[row, col]
                wins = z > held * (1.0 + DEPTH_TIE)
                if not wins and front and z >= held * (1.0 - DEPTH_TIE):
                    # Coincident faces of opposite winding: show the one made to be seen.
                    wins = is_front[owner[row, col]] == 0
                if wins:
                    nearest[row, col] = z
                    owner[row, col] = t


@njit(cache=True, nogil=True, error_model="numpy", inline="always")
def _clip_span(value, slope, low, high):
    """Narrow [low, high] to where value + slope * column >= -tolerance."""
    if slope > 0.0:
        return max(low, (-_EDGE_TOLERANCE - value) / slope), high
    if slope < 0.0:
        return low, min(high, (-_EDGE_TOLERANCE - value) / slope)
    if value < -_EDGE_TOLERANCE:
        return 1.0, 0.0
    return low, high


@njit(cache=True, nogil=True, error_model="numpy")
def shade_pixels(
    sx, sy, inverse_z, vertices, faces, corner_normals, corner_uv, material_ids,
    texels, tex_offset, tex_width, tex_height, tex_levels, base_color,
    nearest, owner, is_front, samples, up, sky, ground, use_mips, rgb, alpha, mask, depth,
):  # fmt: skip
    """Shade every covered sample and average the samples of each pixel.

    Args:
        sx: sample column of every vertex.
        sy: sample row of every vertex.
        inverse_z: 1 / depth of every vertex.
        vertices: positions in the object frame, for the geometric normal.
        faces: vertex indices, (F, 3).
        corner_normals: (F, 3, 3), object frame.
        corner_uv: (F, 3, 2).
        material_ids: (F,).
        texels: see `packing.TextureTable`, as the five arguments after it.
        tex_offset: start of each level.
        tex_width: width of each level.
        tex_height: height of each level.
        tex_levels: levels per material.
        base_color: colour per material.
        nearest: 1 / depth per sample.
        owner: visible triangle per sample, -1 = none.
        is_front: 1 where the outside of the triangle faces the camera.
        samples: samples per pixel side, odd.
        up: direction of the light, unit, object frame.
        sky: RGB factor for surfaces facing `up`.
        ground: RGB factor for surfaces facing away from it.
        use_mips: whether to read minified texture levels.
        rgb: out, (h, w, 3) uint8, premultiplied.
        alpha: out, (h, w) uint8 coverage.
        mask: out, (h, w) bool at the pixel centre.
        depth: out, (h, w) float32 at the pixel centre, 0 = none.
    """
    height, width = mask.shape
    middle = samples // 2
    per_sample = 1.0 / (samples * samples)
    color = np.empty(3)
    for py in range(height):
        for px in range(width):
            red = green = blue = 0.0
            covered = 0
            for i in range(samples):
                for j in range(samples):
                    row, col = py * samples + i, px * samples + j
                    t = owner[row, col]
                    if t < 0:
                        continue
                    covered += 1
                    # Perspective-correct corner weights.
                    a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
                    xa, ya, xb, yb, xc, yc = sx[a], sy[a], sx[b], sy[b], sx[c], sy[c]
                    area = (xb - xa) * (yc - ya) - (yb - ya) * (xc - xa)
                    pa = ((xb - col) * (yc - row) - (yb - row) * (xc - col)) * inverse_z[a]
                    pb = ((xc - col) * (ya - row) - (yc - row) * (xa - col)) * inverse_z[b]
                    pc = ((xa - col) * (yb - row) - (ya - row) * (xb - col)) * inverse_z[c]
                    total = pa + pb + pc
                    pa, pb, pc = pa / total, pb / total, pc / total
                    material = material_ids[t]
                    color[:] = base_color[material]
                    if tex_levels[material] > 0:
                        level = 0
                        if use_mips:
                            level = _mip_level(
                                corner_uv[t], tex_width[material, 0], tex_height[material, 0],
                                area, tex_levels[material],
                            )  # fmt: skip
                        _multiply_texture(
                            color, texels, tex_offset[material, level],
                            tex_width[material, level], tex_height[material, level],
                            pa * corner_uv[t, 0, 0] + pb * corner_uv[t, 1, 0]
                            + pc * corner_uv[t, 2, 0],
                            pa * corner_uv[t, 0, 1] + pb * corner_uv[t, 1, 1]
                            + pc * corner_uv[t, 2, 1],
                        )  # fmt: skip
                    facing = _light_cosine(vertices, a, b, c, corner_normals[t],
                                           pa, pb, pc, is_front[t], up)  # fmt: skip
                    h = 0.5 + 0.5 * facing
                    red += min(max(color[0] * (ground[0] + (sky[0] - ground[0]) * h), 0.0), 1.0)
                    green += min(max(color[1] * (ground[1] + (sky[1] - ground[1]) * h), 0.0), 1.0)
                    blue += min(max(color[2] * (ground[2] + (sky[2] - ground[2]) * h), 0.0), 1.0)
            if covered == 0:
                continue
            scale = 255.0 * per_sample
            rgb[py, px, 0] = np.uint8(red * scale + 0.5)
            rgb[py, px, 1] = np.uint8(green * scale + 0.5)
            rgb[py, px, 2] = np.uint8(blue * scale + 0.5)
            alpha[py, px] = np.uint8(covered * scale + 0.5)
            row, col = py * samples + middle, px * samples + middle
            if owner[row, col] >= 0:
                mask[py, px] = True
                depth[py, px] = 1.0 / nearest[row, col]


@njit(cache=True, nogil=True, error_model="numpy")
def _light_cosine(vertices, a, b, c, normals, pa, pb, pc, front, up):
    """Cosine between the light and the interpolated normal, turned to the viewer's side.

    The side is decided by the flat triangle: near a silhouette the interpolated normal may point
    away from the viewer although the surface does not, and flipping it there would leave specks.
    """
    nx = pa * normals[0, 0] + pb * normals[1, 0] + pc * normals[2, 0]
    ny = pa * normals[0, 1] + pb * normals[1, 1] + pc * normals[2, 1]
    nz = pa * normals[0, 2] + pb * normals[1, 2] + pc * normals[2, 2]
    e1x, e1y, e1z = (vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1],
                     vertices[b, 2] - vertices[a, 2])  # fmt: skip
    e2x, e2y, e2z = (vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1],
                     vertices[c, 2] - vertices[a, 2])  # fmt: skip
    gx, gy, gz = e1y * e2z - e1z * e2y, e1z * e2x - e1x * e2z, e1x * e2y - e1y * e2x
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    if not length > 1e-12:  # opposite corner normals cancel: use the flat normal
        nx, ny, nz = gx, gy, gz
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
    cosine = (nx * up[0] + ny * up[1] + nz * up[2]) / length
    agrees = nx * gx + ny * gy + nz * gz >= 0.0
    return cosine if agrees == (front != 0) else -cosine


@njit(cache=True, nogil=True, error_model="numpy")
def _mip_level(uv, width, height, area_samples, n_levels):
    """Level at which one texel of the triangle covers about one sample."""
    texels = abs(
        (uv[1, 0] - uv[0, 0]) * (uv[2, 1] - uv[0, 1])
        - (uv[1, 1] - uv[0, 1]) * (uv[2, 0] - uv[0, 0])
    ) * (width * height)  # fmt: skip
    ratio = texels / abs(area_samples)
    if not ratio > 1.0:
        return 0
    return min(int(0.5 * math.log2(min(ratio, 1e12)) + 0.5), n_levels - 1)


@njit(cache=True, nogil=True, error_model="numpy")
def _multiply_texture(color, texels, offset, width, height, u, v):
    """Multiply `color` by the bilinear, repeating texture at (u, v); v points up."""
    u -= math.floor(u)
    v -= math.floor(v)
    if not (u >= 0.0 and v >= 0.0):
        return  # not a number: leave the plain colour
    x = u * width - 0.5
    y = (1.0 - v) * height - 0.5
    x_floor, y_floor = math.floor(x), math.floor(y)
    fx, fy = x - x_floor, y - y_floor
    x0, y0 = int(x_floor) % width, int(y_floor) % height
    x1, y1 = (x0 + 1) % width, (y0 + 1) % height
    w00, w10 = (1.0 - fx) * (1.0 - fy), fx * (1.0 - fy)
    w01, w11 = (1.0 - fx) * fy, fx * fy
    i00, i10 = offset + y0 * width + x0, offset + y0 * width + x1
    i01, i11 = offset + y1 * width + x0, offset + y1 * width + x1
    for k in range(3):
        color[k] *= (
            w00 * texels[i00, k]
            + w10 * texels[i10, k]
            + w01 * texels[i01, k]
            + w11 * texels[i11, k]
        ) / 255.0
