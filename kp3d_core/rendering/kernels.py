"""Compiled inner loops of the rasterizer: visibility per sample, then shading per pixel.

Both work in *sample coordinates* of the window that is drawn: sample column j and row i have the
integer position (j, i); a pixel holds `samples` x `samples` of them and its middle sample is the
pixel centre. Everything runs on the calling thread, in a fixed order, so results are repeatable.
"""

from __future__ import annotations

import math
from typing import no_type_check

import numpy as np
from numba import njit

# `no_type_check` below: numba infers the types, and cannot compile what a checker has wrapped.
_compiled = njit(cache=True, nogil=True, error_model="numpy")
_inlined = njit(cache=True, nogil=True, error_model="numpy", inline="always")

DEPTH_TIE = 2e-6
"""Surfaces closer together than this, relative to their depth, count as coincident."""

_SURFACE_SIZE = 26
"""Numbers that `_load_surface` keeps of a triangle."""

_NO_TEXTURE = -1
_NOT_LOADED = -2
"""Marks instead of a mip level."""

_EDGE_TOLERANCE = 1e-9
"""Barycentric slack that closes the cracks which rounding would open along shared edges."""


@_compiled
@no_type_check
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
        if not abs(area) > 1e-10:
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


@_inlined
@no_type_check
def _clip_span(value, slope, low, high):
    """Narrow [low, high] to where value + slope * column >= -tolerance."""
    if slope > 0.0:
        return max(low, (-_EDGE_TOLERANCE - value) / slope), high
    if slope < 0.0:
        return low, min(high, (-_EDGE_TOLERANCE - value) / slope)
    if value < -_EDGE_TOLERANCE:
        return 1.0, 0.0
    return low, high


@_compiled
@no_type_check
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
    to_byte = 255.0 / (samples * samples)
    # A small triangle shares most of its pixels with others, so each one is prepared only once.
    surfaces = np.empty((faces.shape[0], _SURFACE_SIZE))
    levels = np.full(faces.shape[0], _NOT_LOADED, np.int8)
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
                    material = material_ids[t]
                    if levels[t] == _NOT_LOADED:
                        levels[t] = _load_surface(
                            surfaces[t], sx, sy, inverse_z, vertices, faces[t], corner_normals[t],
                            corner_uv[t], is_front[t], up, tex_width[material, 0],
                            tex_height[material, 0], tex_levels[material], use_mips,
                        )  # fmt: skip
                    level = levels[t]
                    light, r, g, b = _light_and_texture(
                        surfaces[t], col, row, level, texels, tex_offset[material, level],
                        tex_width[material, level], tex_height[material, level],
                    )  # fmt: skip
                    r *= base_color[material, 0] * (ground[0] + (sky[0] - ground[0]) * light)
                    g *= base_color[material, 1] * (ground[1] + (sky[1] - ground[1]) * light)
                    b *= base_color[material, 2] * (ground[2] + (sky[2] - ground[2]) * light)
                    red += min(max(r, 0.0), 1.0)
                    green += min(max(g, 0.0), 1.0)
                    blue += min(max(b, 0.0), 1.0)
            if covered == 0:
                continue
            rgb[py, px, 0] = np.uint8(red * to_byte + 0.5)
            rgb[py, px, 1] = np.uint8(green * to_byte + 0.5)
            rgb[py, px, 2] = np.uint8(blue * to_byte + 0.5)
            alpha[py, px] = np.uint8(covered * to_byte + 0.5)
            row, col = py * samples + middle, px * samples + middle
            if owner[row, col] >= 0:
                mask[py, px] = True
                depth[py, px] = 1.0 / nearest[row, col]


@_compiled
@no_type_check
def _load_surface(
    surface, sx, sy, inverse_z, vertices, face, normals, uv, front, up, width, height, n_levels,
    use_mips,
):  # fmt: skip
    """Prepare one triangle for shading and return its mip level.

    An attribute divided by depth is linear on the screen, so each is kept as value and slopes at
    corner a: surface[0:2] is corner a, then (value, d/dcolumn, d/drow) of 1/z, nx/z, ny/z, nz/z,
    u/z, v/z; last come the flat normal on the viewer's side and the light's direction.
    """
    a, b, c = face[0], face[1], face[2]
    xb, yb, xc, yc = sx[b] - sx[a], sy[b] - sy[a], sx[c] - sx[a], sy[c] - sy[a]
    area = xb * yc - yb * xc
    za, zb, zc = inverse_z[a], inverse_z[b], inverse_z[c]
    surface[0], surface[1] = sx[a], sy[a]
    for k in range(6):
        if k == 0:
            qa, qb, qc = za, zb, zc
        elif k < 4:
            qa, qb, qc = za * normals[0, k - 1], zb * normals[1, k - 1], zc * normals[2, k - 1]
        else:
            qa, qb, qc = za * uv[0, k - 4], zb * uv[1, k - 4], zc * uv[2, k - 4]
        qb -= qa
        qc -= qa
        surface[2 + 3 * k] = qa
        surface[3 + 3 * k] = (qb * yc - qc * yb) / area
        surface[4 + 3 * k] = (qc * xb - qb * xc) / area
    side = 1.0 if front else -1.0
    for k in range(3):
        m, n = (k + 1) % 3, (k + 2) % 3
        surface[20 + k] = side * (
            (vertices[b, m] - vertices[a, m]) * (vertices[c, n] - vertices[a, n])
            - (vertices[b, n] - vertices[a, n]) * (vertices[c, m] - vertices[a, m])
        )
        surface[23 + k] = up[k]
    if n_levels == 0:
        return _NO_TEXTURE
    texels = abs(
        (uv[1, 0] - uv[0, 0]) * (uv[2, 1] - uv[0, 1])
        - (uv[1, 1] - uv[0, 1]) * (uv[2, 0] - uv[0, 0])
    ) * (width * height)  # fmt: skip
    ratio = texels / abs(area)  # texels per sample: the level that brings it down to about one
    if not use_mips or not ratio > 1.0:
        return 0
    return min(int(0.5 * math.log2(min(ratio, 1e12)) + 0.5), n_levels - 1)


@_compiled
@no_type_check
def _light_and_texture(surface, col, row, level, texels, offset, width, height):
    """Return the light at a sample, 0 to 1, and the texture's red, green and blue there."""
    dx, dy = col - surface[0], row - surface[1]
    nx = surface[5] + surface[6] * dx + surface[7] * dy
    ny = surface[8] + surface[9] * dx + surface[10] * dy
    nz = surface[11] + surface[12] * dx + surface[13] * dy
    gx, gy, gz = surface[20], surface[21], surface[22]
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    if not length > 1e-12:  # opposite corner normals cancel: use the flat one
        nx, ny, nz = gx, gy, gz
        length = math.sqrt(nx * nx + ny * ny + nz * nz)
    cosine = (nx * surface[23] + ny * surface[24] + nz * surface[25]) / length
    # The flat triangle decides the viewer's side: near a silhouette the interpolated normal may
    # point away from the viewer although the surface does not, and flipping it leaves specks.
    if nx * gx + ny * gy + nz * gz < 0.0:
        cosine = -cosine
    red = green = blue = 1.0
    if level != _NO_TEXTURE:
        z = 1.0 / (surface[2] + surface[3] * dx + surface[4] * dy)
        u = (surface[14] + surface[15] * dx + surface[16] * dy) * z
        v = (surface[17] + surface[18] * dx + surface[19] * dy) * z
        red, green, blue = _read_texture(texels, offset, width, height, u, v)
    return 0.5 + 0.5 * cosine, red, green, blue


@_compiled
@no_type_check
def _read_texture(texels, offset, width, height, u, v):
    """Return the bilinear, repeating texture at (u, v), 0 to 1; v points up."""
    u -= math.floor(u)
    v -= math.floor(v)
    if not (u >= 0.0 and v >= 0.0):
        return 1.0, 1.0, 1.0  # not a number: leave the plain colour
    x = u * width - 0.5
    y = (1.0 - v) * height - 0.5
    x_floor, y_floor = math.floor(x), math.floor(y)
    fx, fy = x - x_floor, y - y_floor
    x0, y0 = _wrap(int(x_floor), width), _wrap(int(y_floor), height)
    x1, y1 = _wrap(x0 + 1, width), _wrap(y0 + 1, height)
    i00, i10 = offset + y0 * width + x0, offset + y0 * width + x1
    i01, i11 = offset + y1 * width + x0, offset + y1 * width + x1
    gx, gy = 1.0 - fx, (1.0 - fy) / 255.0
    fy /= 255.0
    w00, w10, w01, w11 = gx * gy, fx * gy, gx * fy, fx * fy
    red = w00 * texels[i00, 0] + w10 * texels[i10, 0] + w01 * texels[i01, 0] + w11 * texels[i11, 0]
    green = (
        w00 * texels[i00, 1] + w10 * texels[i10, 1] + w01 * texels[i01, 1] + w11 * texels[i11, 1]
    )
    blue = w00 * texels[i00, 2] + w10 * texels[i10, 2] + w01 * texels[i01, 2] + w11 * texels[i11, 2]
    return red, green, blue


@_inlined
@no_type_check
def _wrap(index, size):
    """Bring an index that is at most one step outside into range; far cheaper than a modulo."""
    if index < 0:
        return index + size
    if index >= size:
        return index - size
    return index
