"""Pictures in files: a folder or a tar."""

import io
import os
import tarfile
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath

import numpy as np
from jaxtyping import Int

from offramp.errors import DataError
from offramp.inputs import Inputs
from offramp.load import fingerprint
from offramp.load.labels import from_csv, from_folders
from offramp.load.pictures import Picture, pillow
from offramp.load.preprocess import Preprocess, required
from offramp.sources import Labels

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_THREADS = min(8, os.cpu_count() or 1)


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """Pictures read and decoded when asked for.

    Attributes:
        name: of the folder or tar.
        files: path of each picture inside it.
        read: the bytes of a picture by its path.
        preprocess: from pictures to a batch.
        read_labels: fetches the class indices.
        read_fingerprint: computes the fingerprint.
    """

    name: str
    files: tuple[str, ...]
    read: Callable[[str], bytes]
    preprocess: Preprocess
    read_labels: Callable[[], Labels]
    read_fingerprint: Callable[[], str]

    def __len__(self) -> int:
        return len(self.files)

    def fingerprint(self) -> str:
        """sha256 of a folder's names and sizes, or of a tar's contents."""
        return self.read_fingerprint()

    def inputs(self, indices: Int[np.ndarray, " batch"]) -> Inputs:
        """The preprocessed pictures."""
        with ThreadPoolExecutor(_THREADS) as pool:  # decoding releases the interpreter lock
            return self.preprocess.batch(list(pool.map(self._picture, indices.tolist())))

    def labels(self) -> Labels:
        """Class indices, by the csv or the class folders."""
        return self.read_labels()

    def raw(self, index: int) -> Picture:
        """A picture as it is in its file."""
        return self._picture(index)

    def _picture(self, index: int) -> Picture:
        file = self.files[index]
        try:
            picture = pillow().open(io.BytesIO(self.read(file)))
            picture.load()
        except (OSError, SyntaxError, ValueError, pillow().DecompressionBombError) as error:
            raise DataError(
                f"expected a picture, {file!r} in {self.name} is damaged: {error}; repair or remove it"
            ) from error
        return picture


def open_folder(path: Path, preprocess: Preprocess | None, labels: str | PathLike[str] | None) -> ImageFiles:
    """All pictures below a folder, in the order of their paths."""
    files = _pictures((file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file()), str(path))

    def read_labels() -> Labels:
        if labels is not None:
            return from_csv(labels, files)
        classes = [entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")]
        return from_folders(files, classes, str(path))

    def read_fingerprint() -> str:
        return fingerprint.of_parts(f"{file}\t{(path / file).stat().st_size}" for file in files)

    return ImageFiles(
        str(path),
        files,
        lambda file: (path / file).read_bytes(),
        required(preprocess, "pictures", str(path)),
        read_labels,
        read_fingerprint,
    )


def open_tar(path: Path, preprocess: Preprocess | None, labels: str | PathLike[str] | None) -> ImageFiles:
    """All pictures in an uncompressed tar, in the order of their paths."""
    spans = _spans(path)
    files = _pictures(spans, str(path))

    def read(file: str) -> bytes:
        start, size = spans[file]
        with path.open("rb") as stream:
            stream.seek(start)
            return stream.read(size)

    def read_labels() -> Labels:
        table = labels if labels is not None else _csv_beside(path)
        if table is not None:
            return from_csv(table, files)
        return from_folders(files, sorted({PurePosixPath(file).parts[0] for file in files if "/" in file}), str(path))

    return ImageFiles(
        str(path),
        files,
        read,
        required(preprocess, "pictures", str(path)),
        read_labels,
        lambda: fingerprint.of_file(path),
    )


def _spans(path: Path) -> dict[str, tuple[int, int]]:
    """Where the bytes of each file of the tar lie: offset and size."""
    try:
        with tarfile.open(path, "r:") as archive:
            return {
                member.name.removeprefix("./"): (member.offset_data, member.size)
                for member in archive
                if member.isreg()
            }
    except (tarfile.TarError, OSError) as error:
        raise DataError(
            f"expected an uncompressed tar, {str(path)!r} is none: {error}; unpack it or pack it again"
        ) from error


def _csv_beside(path: Path) -> Path | None:
    """The table of labels next to a tar: NAME.csv, or labels_X.csv beside images_X.tar."""
    names = [path.stem, path.stem.replace("images", "labels")]
    return next((file for name in names if (file := path.with_name(f"{name}.csv")).is_file()), None)


def _pictures(files: Iterable[str], where: str) -> tuple[str, ...]:
    found = sorted(file for file in files if _is_picture(PurePosixPath(file)))
    if not found:
        raise DataError(f"expected pictures ({', '.join(SUFFIXES)}) in {where}, got none; check the path")
    return tuple(found)


def _is_picture(file: PurePosixPath) -> bool:
    return file.suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in file.parts)
