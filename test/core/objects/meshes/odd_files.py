"""Damaged and odd mesh files, with what must be told of each."""

import struct

BOX_FACES = "f 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n"


def box(low, high):
    corners = [(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)]
    points = [[a + (b - a) * c for a, b, c in zip(low, high, k, strict=True)] for k in corners]
    return "".join(f"v {x} {y} {z}\n" for x, y, z in points)


def write_damaged(folder):
    """Files that no object can be made of, by name with the reason that must be told."""
    cube = box((-1, -1, -1), (1, 1, 1))
    files = {
        "empty.obj": (b"", "must hold triangles"),
        "no_faces.obj": (cube.encode(), "must hold triangles"),
        "text.glb": (b"this is no mesh", "cannot be read as a mesh"),
        "cut.glb": (b"glTF\x02\x00\x00\x00\xff\xff\x00\x00", "cannot be read as a mesh"),
        "text.ply": (b"ply\nformat ascii 1.0\nelement vertex 3\n", "cannot be read|must hold"),
        "liar.ply": (
            b"ply\nformat binary_little_endian 1.0\nelement vertex 4000000000\n"
            b"property float x\nproperty float y\nproperty float z\n"
            b"element face 1\nproperty list uchar int vertex_indices\nend_header\n",
            "cannot be read|memory|process|must hold",
        ),
        "cut.stl": (b"\x00" * 80 + struct.pack("<I", 4_000_000_000), "cannot be read|must hold"),
        "bad.dae": (b"<?xml version='1.0'?><COLLADA>", "cannot be read"),
        "flat.obj": (
            (box((-1, -1, 0), (1, 1, 1e-9)) + BOX_FACES).encode(),
            "flat|usable triangles",
        ),
        "needle.obj": ((box((-1, -1, 0), (1, 1, 1e-4)) + BOX_FACES).encode(), "it is flat"),
        "nan.obj": ((cube.replace("-1", "nan") + BOX_FACES).encode(), "usable|triangles|read"),
        "scene.fbx": (b"Kaydara", r"\.fbx is not read: export it as GLB"),
        "part.step": (b"ISO-10303-21;", r"\.step is not read"),
    }
    two = cube + BOX_FACES + box((9, -1, -1), (11, 1, 1))
    for line in BOX_FACES.splitlines():
        two += "f " + " ".join(str(int(k) + 8) for k in line.split()[1:]) + "\n"
    files["two.obj"] = (two.encode(), "2 objects that stand apart")
    for name, (content, _) in files.items():
        (folder / name).write_bytes(content)
    outside = folder.parent / "outside.obj"
    outside.write_text(cube + BOX_FACES)
    (folder / "link.obj").symlink_to(outside)
    reasons = {name: reason for name, (_, reason) in files.items()}
    return reasons | {"link.obj": "a link to a file outside"}


def write_odd(folder):
    """Files that can be used, by name with the note that must be told."""
    red = "newmtl red\nKd 0.8 0.1 0.1\nmap_Kd C:\\textures\\gone.png\n"
    (folder / "red.mtl").write_text(red)
    uv = "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\n"
    faces = "".join(
        "f " + " ".join(f"{k}/{i + 1}" for i, k in enumerate(line.split()[1:])) + "\n"
        for line in BOX_FACES.splitlines()
    )
    slab = box((-2, 0, -1), (2, 1, 1))
    inverted = "".join(
        "f " + " ".join(reversed(line.split()[1:])) + "\n" for line in BOX_FACES.splitlines()
    )
    texts = {
        "missing_texture.obj": (
            "mtllib red.mtl\nusemtl red\n" + slab + uv + faces,
            "missing: .*gone",
        ),
        "no_colours.obj": (slab + BOX_FACES, "no colours: grey"),
        "inside_out.obj": (slab + inverted, "inside out: faces turned"),
        "doubled.obj": (slab + BOX_FACES + BOX_FACES, "12 doubled faces left out"),
        "degenerate.obj": (slab + BOX_FACES + "f 1 1 2\n", "1 degenerate face left out"),
        "micrometres.obj": (box((-2e6, 0, -1e6), (2e6, 1e6, 1e6)) + BOX_FACES, "another unit"),
    }
    for name, (text, _) in texts.items():
        (folder / name).write_text(text)
    return {name: note for name, (_, note) in texts.items()}
