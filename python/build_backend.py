"""Builds the wheel and the source archive (PEP 517, PEP 660), with the standard library alone.

    pip install ./python                                            # or: pip wheel ./python
    python3 -c 'import build_backend; build_backend.build_wheel(".")'

The same sources give the same bytes.
"""

import base64
import gzip
import hashlib
import io
import os
import re
import tarfile
import zipfile

HERE = os.path.dirname(os.path.abspath(__file__))
MODULES = ("coppice_model.py",)
PACKAGES = ("coppice",)
TIME = (1980, 1, 1, 0, 0, 0)  # the first that a zip file knows

METADATA = """\
Metadata-Version: 2.1
Name: coppice
Version: {version}
Summary: training programs for Coppice sweeps, and their results in Python
License: Apache-2.0
Requires-Python: >=3.9
Provides-Extra: table
Requires-Dist: pandas; extra == "table"
Provides-Extra: model
Requires-Dist: torch>=1.13; extra == "model"
"""
WHEEL = """\
Wheel-Version: 1.0
Generator: coppice
Root-Is-Purelib: true
Tag: py3-none-any
"""


def version():
    with open(os.path.join(HERE, "coppice", "__init__.py"), encoding="utf-8") as file:
        return re.search(r'^__version__ = "([^"]+)"$', file.read(), re.MULTILINE).group(1)


def sources():
    """The files of the wheel, by their paths in it."""
    names = list(MODULES)
    for package in PACKAGES:
        for folder, folders, files in os.walk(os.path.join(HERE, package)):
            folders[:] = sorted(name for name in folders if name != "__pycache__")
            names += [os.path.relpath(os.path.join(folder, name), HERE) for name in sorted(files)
                      if name.endswith((".py", ".pyi")) or name == "py.typed"]
    return {name: read(name) for name in sorted(names)}


def read(name):
    with open(os.path.join(HERE, name), "rb") as file:
        return file.read()


def info():
    return f"coppice-{version()}.dist-info"


def metadata():
    return METADATA.format(version=version()).encode()


def write_wheel(folder, files):
    name = f"coppice-{version()}-py3-none-any.whl"
    files = {**files, f"{info()}/METADATA": metadata(), f"{info()}/WHEEL": WHEEL.encode()}
    record = "".join(f"{path},sha256={digest(data)},{len(data)}\n" for path, data in files.items()) + f"{info()}/RECORD,,\n"
    files[f"{info()}/RECORD"] = record.encode()
    with zipfile.ZipFile(os.path.join(folder, name), "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in files.items():
            entry = zipfile.ZipInfo(path, TIME)
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return name


def digest(data):
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()


def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, sources())


def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    return write_wheel(wheel_directory, {"coppice.pth": (HERE + "\n").encode()})


def build_sdist(sdist_directory, config_settings=None):
    root = f"coppice-{version()}"
    files = {**sources(), "pyproject.toml": read("pyproject.toml"), "build_backend.py": read("build_backend.py"), "PKG-INFO": metadata()}
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(f"{root}/{path}")
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    with open(os.path.join(sdist_directory, f"{root}.tar.gz"), "wb") as file:
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as zipped:
            zipped.write(packed.getvalue())
    return f"{root}.tar.gz"
