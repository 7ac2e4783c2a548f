"""Build the sdist and the wheel of the last commit into dist/, twice; compare both builds and check them.

Needs pip install "repronet[release]". The same commit gives the same files, whoever builds them: file times are that of
the commit (``SOURCE_DATE_EPOCH``), and the sdist is packed in alphabetical order, without user names.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    epoch = int(subprocess.check_output(["git", "log", "-1", "--format=%ct"], cwd=ROOT, text=True))
    with tempfile.TemporaryDirectory() as folder:
        first, second = (build(Path(folder) / name, epoch) for name in ("first", "second"))
        if hashes(first) != hashes(second):
            sys.exit(f"build_release: two builds differ: {hashes(first)} and {hashes(second)}")
        shutil.copytree(first, ROOT / "dist", dirs_exist_ok=True)
    for name, digest in hashes(ROOT / "dist").items():
        print(f"{digest}  {name}")
    files = map(str, sorted((ROOT / "dist").iterdir()))
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], check=True)


def build(folder: Path, epoch: int) -> Path:
    """Build both files from a copy of the commit; returns their folder."""
    source, out = folder / "source", folder / "dist"
    source.mkdir(parents=True)
    archive = subprocess.check_output(["git", "archive", "HEAD"], cwd=ROOT)
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(source, filter="data")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}
    made = subprocess.run(command, capture_output=True, text=True, env=environment)
    if made.returncode:
        sys.exit(f"build_release: the build failed\n{made.stdout}{made.stderr}")
    (sdist,) = out.glob("*.tar.gz")
    repack(sdist, epoch)
    return out


def repack(sdist: Path, epoch: int) -> None:
    """Repack a tar.gz in alphabetical order, with one time and no users: setuptools keeps those of the machine."""
    with tarfile.open(sdist) as tar:
        content = {info.name: (info, tar.extractfile(info) if info.isfile() else None) for info in tar}
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as new:
            for name in sorted(content):
                info, file = content[name]
                info.mtime, info.uid, info.gid, info.uname, info.gname = epoch, 0, 0, "", ""
                info.mode = 0o755 if info.isdir() or info.mode & 0o100 else 0o644
                info.pax_headers = {}
                new.addfile(info, file)
    sdist.write_bytes(gzip.compress(packed.getvalue(), mtime=epoch))


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())}


if __name__ == "__main__":
    main()
