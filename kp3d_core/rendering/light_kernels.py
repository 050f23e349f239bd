"""Compiled inner loops of `lit`: light that reaches a point, and what a surface does with it.

One long file on purpose: numba's cache looks whether the file of a function has changed, not those
of the functions that it calls.
"""

from __future__ import annotations

import math
from typing import no_type_check

import numpy as np

from kp3d_core.rendering.kernels import _compiled, _inlined, _load_surface, _read_texture

_SLOTS = 8
"""Surfaces of which a pixel keeps the light; the samples of one share it."""
_SLOT_SIZE = 12
_SAME_SURFACE = 0.985
"""Cosine between normals up to which samples of one material share their light."""
_PANE_ROUGHNESS = 0.04
_PANE_DIFFUSE = 0.3


@_compiled
@no_type_check
def shade_lit(
    sx, sy, inverse_z, vertices, faces, corner_normals, corner_uv, material_ids, is_front,
    texels, tex_offset, tex_width, tex_height, tex_levels, base_color, finish,
    near, owner, samples, eye, to_object,
    sky_dirs, sky_color, sky_across, sky_reach, sky_texel,
    key_dirs, key_color, key_across, key_reach, key_texel,
    env, env_offset, env_size, turn, ground, dirt, dirt_color, exposure,
    rgb, alpha, mask, depth,
):  # fmt: skip
    """Shade every covered sample of up to three layers and average the samples of each pixel.

    Args:
        sx: as in `kernels.shade_pixels`, so all up to `tex_levels`; texels have opacity as well.
        sy: see there.
        inverse_z: see there.
        vertices: see there.
        faces: see there.
        corner_normals: see there.
        corner_uv: see there.
        material_ids: see there.
        is_front: see there.
        texels: (texels, 4).
        tex_offset: see there.
        tex_width: see there.
        tex_height: see there.
        tex_levels: see there.
        base_color: linear, (M, 3).
        finish: metallic, roughness, opacity of each material, (M, 3).
        near: 1 / depth per sample of each layer: opaque, panes from outside, panes from inside;
            0 = none, (3, h, w).
        owner: visible triangle of each layer, -1 = none.
        samples: per pixel side, odd.
        eye: of the camera, object frame.
        to_object: (column, row, 1) of a sample to the object frame, for depth 1, (3, 3).
        sky_dirs: `shadows.ShadowMaps` of the sky's parts.
        sky_color: what a white surface shows of each part that it faces.
        sky_across: see there.
        sky_reach: see there.
        sky_texel: see there.
        key_dirs: the same of suns and lamps.
        key_color: see there.
        key_across: see there.
        key_reach: see there.
        key_texel: see there.
        env: see `environment.Environment`.
        env_offset: see there.
        env_size: see there.
        turn: cosine and sine of the turn of the environment about z.
        ground: half the footprint of the object along x and y, middle x and y, height.
        dirt: 0 = clean, 1 = filthy.
        dirt_color: linear RGB.
        exposure: factor from radiance to the displayed range.
        rgb: out, (h, w, 3) uint8, display space, premultiplied.
        alpha: out, (h, w) uint8, coverage times opacity.
        mask: out, (h, w) bool, any surface at the pixel centre.
        depth: out, (h, w) float32 of the first surface at the pixel centre, 0 = none.
    """
    height, width = mask.shape
    middle = samples // 2
    share = 1.0 / (samples * samples)
    surfaces = np.empty((faces.shape[0], 26))
    levels = np.full(faces.shape[0], -2, np.int8)
    slots = np.empty((_SLOTS, _SLOT_SIZE))
    slot_owner = np.empty(_SLOTS, np.int32)
    slot_pane = np.empty(_SLOTS, np.uint8)
    normal, texel, up = np.empty(3), np.empty(3), np.zeros(3)
    order = np.empty(3, np.int8)
    for py in range(height):
        for px in range(width):
            red = green = blue = opaque = 0.0
            used = 0
            for i in range(samples):
                for j in range(samples):
                    row, col = py * samples + i, px * samples + j
                    n_layers = _sorted_layers(near, row, col, order)
                    left = 1.0
                    for k in range(n_layers):
                        layer = order[k]
                        t = owner[layer, row, col]
                        material = material_ids[t]
                        if levels[t] == -2:
                            levels[t] = _load_surface(
                                surfaces[t], sx, sy, inverse_z, vertices, faces[t],
                                corner_normals[t], corner_uv[t], is_front[t], up,
                                tex_width[material, 0], tex_height[material, 0],
                                tex_levels[material], True,
                            )  # fmt: skip
                        level = levels[t]
                        tr, tg, tb, ta = 1.0, 1.0, 1.0, 1.0
                        if level >= 0:
                            tr, tg, tb, ta = _texel_at(
                                surfaces, t, col, row, texels, tex_offset[material, level],
                                tex_width[material, level], tex_height[material, level],
                            )  # fmt: skip
                        opacity = finish[material, 2] * ta
                        if layer == 0:
                            opacity = 1.0  # nothing of the object behind it was drawn
                        pane = opacity < 0.98
                        slot = -1
                        for s in range(used):
                            if slot_owner[s] == t and slot_pane[s] == pane:
                                slot = s
                                break
                        if slot < 0:
                            _normal_at(normal, surfaces[t], col, row)
                            for s in range(used):
                                same = slot_pane[s] == pane and (
                                    material_ids[slot_owner[s]] == material
                                )
                                cosine = (
                                    slots[s, 7] * normal[0] + slots[s, 8] * normal[1]
                                    + slots[s, 9] * normal[2]
                                )  # fmt: skip
                                if same and cosine > _SAME_SURFACE:
                                    slot = s
                                    break
                        if slot < 0:
                            slot = min(used, _SLOTS - 1)
                            used = slot + 1
                            slot_owner[slot], slot_pane[slot] = t, pane
                            texel[0], texel[1], texel[2] = tr, tg, tb
                            _light_surface(
                                slots[slot], normal, col, row, near[layer, row, col],
                                base_color[material], texel, finish[material], pane,
                                eye, to_object, sky_dirs, sky_color, sky_across, sky_reach,
                                sky_texel, key_dirs, key_color, key_across, key_reach, key_texel,
                                env, env_offset, env_size, turn, ground, dirt,
                            )  # fmt: skip
                        soil = slots[slot, 10]
                        solid = opacity + (1.0 - opacity) * soil
                        lit = left * solid * (1.0 - slots[slot, 6]) * (1.0 - finish[material, 0])
                        if pane:  # what glass holds back, it mostly swallows
                            lit *= _PANE_DIFFUSE + (1.0 - _PANE_DIFFUSE) * soil
                        r = (1.0 - soil) * base_color[material, 0] * tr * tr
                        g = (1.0 - soil) * base_color[material, 1] * tg * tg
                        b = (1.0 - soil) * base_color[material, 2] * tb * tb
                        red += exposure * (
                            lit * slots[slot, 0] * (r + soil * dirt_color[0])
                            + left * slots[slot, 3]
                        )
                        green += exposure * (
                            lit * slots[slot, 1] * (g + soil * dirt_color[1])
                            + left * slots[slot, 4]
                        )
                        blue += exposure * (
                            lit * slots[slot, 2] * (b + soil * dirt_color[2])
                            + left * slots[slot, 5]
                        )
                        through = (1.0 - solid) * (1.0 - slots[slot, 6])
                        if solid >= 1.0:
                            through = 0.0
                        left *= through
                        if left < 0.004:
                            break
                    if n_layers > 0:
                        opaque += 1.0 - left
            if opaque <= 0.0:
                continue
            # Colours are averaged as light and shown premultiplied in display space.
            gain, cover = 1.0 / opaque, opaque * share
            rgb[py, px, 0] = np.uint8(255.0 * cover * _displayed(red * gain) + 0.5)
            rgb[py, px, 1] = np.uint8(255.0 * cover * _displayed(green * gain) + 0.5)
            rgb[py, px, 2] = np.uint8(255.0 * cover * _displayed(blue * gain) + 0.5)
            alpha[py, px] = np.uint8(255.0 * cover + 0.5)
            row, col = py * samples + middle, px * samples + middle
            z = max(near[0, row, col], max(near[1, row, col], near[2, row, col]))
            if z > 0.0:
                mask[py, px] = True
                depth[py, px] = 1.0 / z


@_inlined
@no_type_check
def _sorted_layers(near, row, col, order):
    """Write the layers that count at a sample, nearest first; returns how many."""
    solid = near[0, row, col]
    outer, inner = near[1, row, col], near[2, row, col]
    n = 0
    first, second, z_first, z_second = 1, 2, outer, inner
    if inner > outer:
        first, second, z_first, z_second = 2, 1, inner, outer
    if z_first > 0.0 and z_first > solid:
        order[n] = first
        n += 1
        if z_second > 0.0 and z_second > solid:
            order[n] = second
            n += 1
    if solid > 0.0:
        order[n] = 0
        n += 1
    return n


@_inlined
@no_type_check
def _displayed(value):
    """Linear light as displayed, 0..1: gamma 2 with a soft shoulder above 0.7."""
    shown = math.sqrt(max(value, 0.0))
    if shown > 0.7:
        shown = 0.7 + 0.3 * (1.0 - math.exp((0.7 - shown) / 0.3))
    return shown


@_compiled
@no_type_check
def _texel_at(surfaces, t, col, row, texels, offset, width, height):
    """Return the texture's red, green, blue and opacity at a sample of a triangle, 0 to 1."""
    dx, dy = col - surfaces[t, 0], row - surfaces[t, 1]
    z = 1.0 / (surfaces[t, 2] + surfaces[t, 3] * dx + surfaces[t, 4] * dy)
    u = (surfaces[t, 14] + surfaces[t, 15] * dx + surfaces[t, 16] * dy) * z
    v = (surfaces[t, 17] + surfaces[t, 18] * dx + surfaces[t, 19] * dy) * z
    red, green, blue = _read_texture(texels, offset, width, height, u, v)
    u -= math.floor(u)
    v -= math.floor(v)
    opacity = 1.0
    if u >= 0.0 and v >= 0.0:
        x, y = min(int(u * width), width - 1), min(int((1.0 - v) * height), height - 1)
        opacity = texels[offset + y * width + x, 3] / 255.0
    return red, green, blue, opacity


@_compiled
@no_type_check
def _normal_at(normal, surface, col, row):
    """Write the unit normal at a sample on the viewer's side, object frame."""
    dx, dy = col - surface[0], row - surface[1]
    nx = surface[5] + surface[6] * dx + surface[7] * dy
    ny = surface[8] + surface[9] * dx + surface[10] * dy
    nz = surface[11] + surface[12] * dx + surface[13] * dy
    gx, gy, gz = surface[20], surface[21], surface[22]
    length = math.sqrt(nx * nx + ny * ny + nz * nz)
    if not length > 1e-12:
        nx, ny, nz = gx, gy, gz
        length = max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-30)
    if nx * gx + ny * gy + nz * gz < 0.0:
        length = -length
    normal[0], normal[1], normal[2] = nx / length, ny / length, nz / length


@_compiled
@no_type_check
def _light_surface(
    slot, n, col, row, inverse_depth, base, texel, finish, pane, eye, to_object,
    sky_dirs, sky_color, sky_across, sky_reach, sky_texel,
    key_dirs, key_color, key_across, key_reach, key_texel,
    env, env_offset, env_size, turn, ground, dirt,
):  # fmt: skip
    """Write what light a surface point gets and mirrors.

    In `slot`: 0..2 diffuse light, 3..5 mirrored light, 6 share that is mirrored, 7..9 normal, 10
    share of dirt on the surface.
    """
    depth = 1.0 / inverse_depth
    wx = to_object[0, 0] * col + to_object[0, 1] * row + to_object[0, 2]
    wy = to_object[1, 0] * col + to_object[1, 1] * row + to_object[1, 2]
    wz = to_object[2, 0] * col + to_object[2, 1] * row + to_object[2, 2]
    x, y, z = eye[0] + depth * wx, eye[1] + depth * wy, eye[2] + depth * wz
    length = math.sqrt(wx * wx + wy * wy + wz * wz)
    vx, vy, vz = -wx / length, -wy / length, -wz / length
    facing = max(n[0] * vx + n[1] * vy + n[2] * vz, 0.0)
    soil = 0.0
    if dirt > 0.0:
        soil = dirt * _soil(x, y, z, n[2], ground[4])
    metallic, roughness = finish[0] * (1.0 - soil), finish[1] + (0.95 - finish[1]) * soil
    if pane:
        roughness = min(roughness, _PANE_ROUGHNESS + 0.5 * soil)
    # Light of sky and ground by direction, each part shadowed by the object itself.
    red = green = blue = open_sky = all_sky = 0.0
    step = 1.2 * sky_texel
    px, py, pz = x + step * n[0], y + step * n[1], z + step * n[2]
    for k in range(sky_dirs.shape[0]):
        dx, dy, dz = sky_dirs[k, 0], sky_dirs[k, 1], sky_dirs[k, 2]
        cosine = n[0] * dx + n[1] * dy + n[2] * dz
        if cosine <= 0.0:
            continue
        all_sky += cosine
        if not _reached(sky_across[k], sky_reach[k], px, py, pz, dx, dy, dz, sky_texel):
            continue
        if dz < 0.0:
            cosine *= _ground_left(px, py, pz, dx, dy, dz, ground)
        open_sky += cosine
        red += cosine * sky_color[k, 0]
        green += cosine * sky_color[k, 1]
        blue += cosine * sky_color[k, 2]
    open_share = open_sky / max(all_sky, 1e-6)
    # Mirror image of the surroundings; Schlick's Fresnel term, less of it on rough surfaces.
    gloss = 1.0 - roughness
    fresnel = (1.0 - facing) ** 5
    f0 = 0.08 if pane else 0.04  # a pane has two sides
    mirrored = f0 + (max(gloss, f0) - f0) * fresnel
    rx = 2.0 * facing * n[0] - vx
    ry = 2.0 * facing * n[1] - vy
    rz = 2.0 * facing * n[2] - vz
    level = min(roughness * (env_size.shape[0] - 1) * 1.35, env_size.shape[0] - 1.0)
    er, eg, eb = radiance_from(env, env_offset, env_size, turn, rx, ry, rz, int(level + 0.5))
    unblocked = open_share
    if rz < -0.02:
        unblocked *= _ground_left(px, py, pz, rx, ry, rz, ground)
    tint_r = f0 + (base[0] * texel[0] * texel[0] - f0) * metallic
    tint_g = f0 + (base[1] * texel[1] * texel[1] - f0) * metallic
    tint_b = f0 + (base[2] * texel[2] * texel[2] - f0) * metallic
    rest = max(mirrored - f0, 0.0) / (1.0 - f0)
    fr = tint_r + (1.0 - tint_r) * rest
    fg = tint_g + (1.0 - tint_g) * rest
    fb = tint_b + (1.0 - tint_b) * rest
    mr, mg, mb = fr * er * unblocked, fg * eg * unblocked, fb * eb * unblocked
    # Suns and lamps: sharp shadows and highlights.
    spread = max(roughness, 0.12) ** 2
    step = 1.5 * key_texel
    px, py, pz = x + step * n[0], y + step * n[1], z + step * n[2]
    for k in range(key_dirs.shape[0]):
        dx, dy, dz = key_dirs[k, 0], key_dirs[k, 1], key_dirs[k, 2]
        cosine = n[0] * dx + n[1] * dy + n[2] * dz
        if cosine <= 0.0:
            continue
        seen = _reached_smoothly(key_across[k], key_reach[k], px, py, pz, dx, dy, dz, key_texel)
        if seen <= 0.0:
            continue
        red += seen * cosine * key_color[k, 0]
        green += seen * cosine * key_color[k, 1]
        blue += seen * cosine * key_color[k, 2]
        glint = seen * cosine * _highlight(n, vx, vy, vz, dx, dy, dz, facing, cosine, spread)
        mr += glint * fr * key_color[k, 0]
        mg += glint * fg * key_color[k, 1]
        mb += glint * fb * key_color[k, 2]
    slot[0], slot[1], slot[2] = red, green, blue
    slot[3], slot[4], slot[5] = mr, mg, mb
    slot[6] = mirrored
    slot[7], slot[8], slot[9] = n[0], n[1], n[2]
    slot[10] = soil


@_inlined
@no_type_check
def _reached(across, reach, x, y, z, dx, dy, dz, texel):
    """Whether light from a direction reaches a point."""
    size = reach.shape[0]
    middle = (size - 1) / 2 + 0.5
    col = int(across[0, 0] * x + across[0, 1] * y + across[0, 2] * z + middle)
    row = int(across[1, 0] * x + across[1, 1] * y + across[1, 2] * z + middle)
    if col < 0 or row < 0 or col >= size or row >= size:
        return True
    return x * dx + y * dy + z * dz > reach[row, col] - 0.5 * texel


@_inlined
@no_type_check
def _reached_smoothly(across, reach, x, y, z, dx, dy, dz, texel):
    """Share of light from a direction that reaches a point: four texels, bilinear."""
    size = reach.shape[0]
    u = across[0, 0] * x + across[0, 1] * y + across[0, 2] * z + (size - 1) / 2
    v = across[1, 0] * x + across[1, 1] * y + across[1, 2] * z + (size - 1) / 2
    if not (u >= 0.0 and v >= 0.0 and u < size - 1 and v < size - 1):
        return 1.0
    col, row = int(u), int(v)
    fu, fv = u - col, v - row
    here = x * dx + y * dy + z * dz + 0.5 * texel
    a = 1.0 if here > reach[row, col] else 0.0
    b = 1.0 if here > reach[row, col + 1] else 0.0
    c = 1.0 if here > reach[row + 1, col] else 0.0
    d = 1.0 if here > reach[row + 1, col + 1] else 0.0
    return (1.0 - fv) * (a + fu * (b - a)) + fv * (c + fu * (d - c))


@_inlined
@no_type_check
def _ground_left(x, y, z, dx, dy, dz, ground):
    """Share of its light that the ground sends back along a downward ray: little below the object.

    The object shadows the ground under its footprint; the shadow fades over a quarter of it.
    """
    way = (z - ground[4]) / max(-dz, 1e-3)
    u = abs(x + way * dx - ground[2]) / ground[0]
    v = abs(y + way * dy - ground[3]) / ground[1]
    outside = (max(u, v) - 0.85) / 0.4
    return 0.12 + 0.88 * min(max(outside, 0.0), 1.0)


@_inlined
@no_type_check
def _highlight(n, vx, vy, vz, dx, dy, dz, facing, cosine, spread):
    """What a mirror-like surface shows of a light, relative to what a white one shows facing it.

    GGX distribution with Smith's shadowing.

    Reference: Walter et al., Microfacet Models for Refraction through Rough Surfaces, EGSR 2007;
    the shadowing term in Karis' approximation, Real Shading in Unreal Engine 4, SIGGRAPH 2013.
    """
    hx, hy, hz = vx + dx, vy + dy, vz + dz
    length = max(math.sqrt(hx * hx + hy * hy + hz * hz), 1e-9)
    nh = max((n[0] * hx + n[1] * hy + n[2] * hz) / length, 0.0)
    a2 = spread * spread
    d = nh * nh * (a2 - 1.0) + 1.0
    k = spread / 2.0
    shadowing = (facing * (1.0 - k) + k) * (cosine * (1.0 - k) + k)
    return a2 / (4.0 * d * d * max(shadowing, 1e-3))


@_compiled
@no_type_check
def radiance_from(env, offset, size, turn, x, y, z, level):
    """Radiance from a direction (not necessarily unit), bilinear in one level."""
    tx, ty = turn[0] * x + turn[1] * y, turn[0] * y - turn[1] * x
    total = max(abs(tx) + abs(ty) + abs(z), 1e-12)
    u, v = tx / total, ty / total
    if z < 0.0:
        fu = (1.0 - abs(v)) * (1.0 if u >= 0.0 else -1.0)
        v = (1.0 - abs(u)) * (1.0 if v >= 0.0 else -1.0)
        u = fu
    n = size[level]
    fx = min(max((u * 0.5 + 0.5) * n - 0.5, 0.0), n - 1.0)
    fy = min(max((v * 0.5 + 0.5) * n - 0.5, 0.0), n - 1.0)
    x0, y0 = min(int(fx), n - 2), min(int(fy), n - 2)
    fx -= x0
    fy -= y0
    i = offset[level] + y0 * n + x0
    a, b = (1.0 - fx) * (1.0 - fy), fx * (1.0 - fy)
    c, d = (1.0 - fx) * fy, fx * fy
    return (
        a * env[i, 0] + b * env[i + 1, 0] + c * env[i + n, 0] + d * env[i + n + 1, 0],
        a * env[i, 1] + b * env[i + 1, 1] + c * env[i + n, 1] + d * env[i + n + 1, 1],
        a * env[i, 2] + b * env[i + 1, 2] + c * env[i + n, 2] + d * env[i + n + 1, 2],
    )


@_compiled
@no_type_check
def _soil(x, y, z, nz, lowest):
    """How much dirt sticks at a point, 0..1: more of it low down and on top, in patches."""
    height = z - lowest
    low = math.exp(-3.0 * height)
    patches = 0.6 * _noise(5.0 * x, 5.0 * y, 5.0 * z) + 0.4 * _noise(19.0 * x, 19.0 * y, 19.0 * z)
    amount = 1.5 * low + 0.2 * max(nz, 0.0) + 0.8 * (patches - 0.6)
    return min(max(amount, 0.0), 1.0)


@_inlined
@no_type_check
def _noise(x, y, z):
    """Smooth noise, 0..1: hashed values at whole coordinates, interpolated."""
    x0, y0, z0 = math.floor(x), math.floor(y), math.floor(z)
    fx, fy, fz = x - x0, y - y0, z - z0
    total = 0.0
    for k in range(8):
        i, j, m = k & 1, (k >> 1) & 1, k >> 2
        weight = (fx if i else 1.0 - fx) * (fy if j else 1.0 - fy) * (fz if m else 1.0 - fz)
        h = (int(x0) + i) * 73856093 ^ (int(y0) + j) * 19349663 ^ (int(z0) + m) * 83492791
        h = (h ^ (h >> 13)) * 1274126177
        total += weight * ((h >> 8) & 0xFFFF) / 65535.0
    return total


@_compiled
@no_type_check
def shade_ground(
    eye, to_object, step, level, extent, sky_dirs, sky_light, sky_across, sky_reach, sky_texel,
    key_dirs, key_light, key_across, key_reach, key_texel, left,
):  # fmt: skip
    """Write the share of its light that the ground keeps beside an object, as displayed.

    Args:
        eye: of the camera, object frame.
        to_object: (column, row, 1) of a pixel to the object frame, for depth 1.
        step: pixels between samples.
        level: height of the ground.
        extent: beyond this distance from the object's z axis nothing is drawn.
        sky_dirs: `shadows.ShadowMaps` of the sky's parts.
        sky_light: brightness of each part.
        sky_across: see there.
        sky_reach: see there.
        sky_texel: see there.
        key_dirs: the same of suns and lamps.
        key_light: see there.
        key_across: see there.
        key_reach: see there.
        key_texel: see there.
        left: out, (h, w) float32.
    """
    height, width = left.shape
    full = 0.0
    for k in range(sky_dirs.shape[0]):
        full += sky_light[k] * max(sky_dirs[k, 2], 0.0)
    for k in range(key_dirs.shape[0]):
        full += key_light[k] * max(key_dirs[k, 2], 0.0)
    for i in range(height):
        for j in range(width):
            left[i, j] = 1.0
            col, row = j * step, i * step
            wx = to_object[0, 0] * col + to_object[0, 1] * row + to_object[0, 2]
            wy = to_object[1, 0] * col + to_object[1, 1] * row + to_object[1, 2]
            wz = to_object[2, 0] * col + to_object[2, 1] * row + to_object[2, 2]
            if wz >= -1e-9:
                continue
            way = (level - eye[2]) / wz
            if not way > 0.0:
                continue
            x, y = eye[0] + way * wx, eye[1] + way * wy
            if x * x + y * y > extent * extent:
                continue
            light = 0.0
            for k in range(sky_dirs.shape[0]):
                dz = sky_dirs[k, 2]
                if dz > 0.0:
                    light += sky_light[k] * dz * _reached_smoothly(
                        sky_across[k], sky_reach[k], x, y, level, sky_dirs[k, 0],
                        sky_dirs[k, 1], dz, sky_texel,
                    )  # fmt: skip
            for k in range(key_dirs.shape[0]):
                dz = key_dirs[k, 2]
                if dz > 0.0:
                    light += key_light[k] * dz * _reached_smoothly(
                        key_across[k], key_reach[k], x, y, level, key_dirs[k, 0],
                        key_dirs[k, 1], dz, key_texel,
                    )  # fmt: skip
            left[i, j] = math.sqrt(light / max(full, 1e-9))
